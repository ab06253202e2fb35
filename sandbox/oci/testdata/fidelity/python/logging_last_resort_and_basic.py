import logging

logging.warning("root warning")
logging.getLogger("a.b").error("error %s", 1)
try:
    1 / 0
except ZeroDivisionError:
    logging.exception("with a traceback")
logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(filename)s:%(lineno)d %(funcName)s %(message)s", force=True)
logging.debug("where")
logging.getLogger().handlers[0].stream = None
