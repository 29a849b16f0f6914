import os

# ruleid: python-hardcoded-password
db_password = "hunter2hunter2"
# ok: python-hardcoded-password
password = ""
# ok: python-hardcoded-password
password = os.environ["PASSWORD"]
# ok: python-hardcoded-password
password = "your_password_here"
# ok: python-hardcoded-password
api_key = "API_KEY"


class Settings:
    def __init__(self):
        # ruleid: python-hardcoded-password
        self.api_key = "9f8e7d6c5b4a3210"
        # ruleid: python-hardcoded-password
        connect(user="root", password="correcthorse")
        # ok: python-hardcoded-password
        connect(user="root", password=ask())
        # ok: python-hardcoded-password
        field(password="password")
