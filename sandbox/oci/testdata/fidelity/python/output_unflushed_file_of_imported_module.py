import json

import report

json.JSONEncoder.default = report.default
report.out.write("flushed although json holds on to the module\n")
