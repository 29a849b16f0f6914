import re

# ruleid: python-catastrophic-regex
A = re.compile(r"^(a+)+$")
# ruleid: python-catastrophic-regex
B = re.compile(r"(?:[a-z]*)*x")
# ok: python-catastrophic-regex
C = re.compile(r"^(a+b)+$")
# ok: python-catastrophic-regex
D = re.compile(r"^[a-z]+$")
