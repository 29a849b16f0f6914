import ssl


def make(context):
    # ruleid: python-old-tls
    ssl.SSLContext(ssl.PROTOCOL_TLSv1)
    # ruleid: python-old-tls
    context.minimum_version = ssl.TLSVersion.TLSv1
    # ok: python-old-tls
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # ok: python-old-tls
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # ok: python-old-tls
    if context.protocol == ssl.PROTOCOL_TLSv1:
        raise ValueError
