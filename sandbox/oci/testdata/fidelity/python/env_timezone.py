import datetime
import os
import time

print(os.environ["TZ"], time.tzname, time.timezone, time.localtime(0).tm_hour)
print(datetime.datetime.fromtimestamp(0), datetime.datetime.fromtimestamp(0).astimezone())
