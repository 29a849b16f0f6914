import random
import secrets
import string


def make_token(length):
    # ruleid: python-insecure-random
    return "".join(random.choice(string.ascii_letters) for _ in range(length))


def use(user):
    # ruleid: python-insecure-random
    session_id = random.getrandbits(64)
    # ruleid: python-insecure-random
    user.reset_token = str(random.randint(0, 10**9))
    # ruleid: python-insecure-random
    save(password="%d" % random.randrange(10**8))
    # ok: python-insecure-random
    colour = random.choice(["red", "blue"])
    # ok: python-insecure-random
    token = secrets.token_hex(16)
    # ok: python-insecure-random
    otp = random.SystemRandom().randint(0, 999999)


def shuffle_cards(cards):
    # ok: python-insecure-random
    return random.sample(cards, len(cards))
