import signal
import time


def on_alarm(number, frame):
    print("alarm", number, frame.f_code.co_name)


signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.05)
time.sleep(0.2)
signal.alarm(0)
print("done")
