import calendar
import datetime
import time
import zoneinfo

d = datetime.datetime(2024, 3, 31, 1, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
print(d, d + datetime.timedelta(hours=1), d.astimezone(zoneinfo.ZoneInfo("America/New_York")))
print(d.strftime("%A %d %B %Y %c"), time.tzname, calendar.month(2024, 2))
print(datetime.datetime.fromisoformat("2024-01-02T03:04:05Z"))
zoneinfo.ZoneInfo("No/Where")
