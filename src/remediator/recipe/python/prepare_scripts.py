"""Short programs that run inside the sandbox while it is prepared or built; standard library only."""

from __future__ import annotations

BEFORE = """\
import json, os, sys
kept = sys.argv[1]
names = [os.path.relpath(os.path.join(at, name), '/job') for at, _, files in os.walk('/job') for name in files]
with open(kept + '/before.json', 'w') as file:
    json.dump(sorted(names), file)
"""

WRITE = """\
import sys
with open(sys.argv[1], 'w') as file:
    file.write(''.join(line + '\\n' for line in sys.argv[2:]))
"""

# Keeps what the installation wrote into the tree and is small text, or what the published wheel has compiled; makes the project known
# where it was not installed. The image must not hold the project's own code.
AFTER = """\
import json, os, shutil, sys, sysconfig
kept, install, name, version, folders = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:]
site = sysconfig.get_paths()['purelib']
with open(kept + '/before.json') as file:
    before = set(json.load(file))
def keep(source, relative):
    target = os.path.join(kept, 'generated', relative)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)
    print('kept', relative)
for at, _, files in os.walk('/job'):
    for found in files:
        path = os.path.join(at, found)
        relative = os.path.relpath(path, '/job')
        parts = relative.split(os.sep)
        skipped = parts[0] in ('build', 'dist', '.git') or '__pycache__' in parts or any(p.endswith('.egg-info') for p in parts)
        if relative in before or skipped or not os.path.isfile(path) or os.path.islink(path):
            continue
        if found.endswith(('.py', '.txt', '.json', '.cfg', '.pyi')) and os.path.getsize(path) < 65536:
            keep(path, relative)
if install == 'overlay':
    wheel = kept + '/wheel'
    for at, _, files in os.walk(wheel):
        for found in files:
            if '.so' in found:
                relative = os.path.relpath(os.path.join(at, found), wheel)
                keep(os.path.join(at, found), os.path.normpath(os.path.join(folders[0], relative)))
    shutil.rmtree(wheel, ignore_errors=True)
if install != 'editable':
    with open(site + '/_tree.pth', 'w') as file:
        file.write(''.join(os.path.normpath(os.path.join('/job', folder)) + '\\n' for folder in folders))
    info = '%s/%s-%s.dist-info' % (site, name.replace('-', '_'), version)
    os.makedirs(info, exist_ok=True)
    with open(info + '/METADATA', 'w') as file:
        file.write('Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n' % (name, version))
    with open(info + '/INSTALLER', 'w') as file:
        file.write('remediator\\n')
    for folder in folders:
        top = os.path.join('/job', folder)
        for found in sorted(os.listdir(top)):
            entry = os.path.join(top, found, 'entry_points.txt')
            if found.endswith('.egg-info') and os.path.isfile(entry):
                shutil.copyfile(entry, info + '/entry_points.txt')
"""

REBUILD = """\
import os, sys
os.chdir('/job')
sys.path.insert(0, '/job')
sys.argv = ['setup.py', '-q', 'build_ext', '--inplace', '--build-temp', '/tmp/build']
if os.path.exists('setup.py'):
    import setuptools
    __file__ = 'setup.py'
    with open('setup.py', 'rb') as file:
        code = compile(file.read(), 'setup.py', 'exec')
    exec(code, {'__name__': '__main__', '__file__': 'setup.py'})
else:
    from setuptools import setup
    setup()
"""
