"""Inside: prints the oldest request that was not taken yet, waiting a while for one."""

import json
import os
import sys
import time

FOLDER, SECONDS = sys.argv[1], float(sys.argv[2])
end = time.monotonic() + SECONDS
while True:
    names = os.listdir(FOLDER) if os.path.isdir(FOLDER) else []
    waiting = sorted((name for name in names if name.endswith(".ask")), key=lambda name: int(name.partition(".")[0]))
    if waiting and SECONDS > 1:
        path = f"{FOLDER}/{waiting[0]}"
        with open(path, "rb") as file:
            sys.stdout.buffer.write(file.read())
        os.unlink(path)
        break
    if time.monotonic() > end:
        print(json.dumps({"ready": "ready" in names}))
        break
    time.sleep(0.03)
