from setuptools import setup

setup(name='feeds', version='1.0', packages=['feeds', 'shop', 'web', 'ops'], install_requires=['PyYAML', 'flask', 'requests', 'lxml'])
