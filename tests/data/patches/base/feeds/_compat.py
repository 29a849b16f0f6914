try:
    from lxml import etree
except ImportError:
    etree = None
