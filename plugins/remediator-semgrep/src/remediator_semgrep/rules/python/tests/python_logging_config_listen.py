import logging.config


def serve(check):
    # ruleid: python-logging-config-listen
    logging.config.listen(9030)
    # ok: python-logging-config-listen
    logging.config.listen(9030, verify=check)
