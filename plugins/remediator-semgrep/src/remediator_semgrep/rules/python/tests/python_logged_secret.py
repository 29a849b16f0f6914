import logging

logger = logging.getLogger(__name__)


def connect(user, password, token_count):
    # ruleid: python-logged-secret
    logger.info("user %s password %s", user, password)
    # ruleid: python-logged-secret
    logging.debug(f"password is {password}")
    # ruleid: python-logged-secret
    logger.error("key %s" % user.api_key)
    # ok: python-logged-secret
    logger.info("user %s", user)
    # ok: python-logged-secret
    logger.info("tokens: %d", token_count)
    # ok: python-logged-secret
    logger.info("password changed")
