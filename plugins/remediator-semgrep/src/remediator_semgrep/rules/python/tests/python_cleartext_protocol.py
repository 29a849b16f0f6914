import ftplib
import telnetlib


def connect(host):
    # ruleid: python-cleartext-protocol
    ftplib.FTP(host)
    # ruleid: python-cleartext-protocol
    telnetlib.Telnet(host)
    # ok: python-cleartext-protocol
    ftplib.FTP_TLS(host)
