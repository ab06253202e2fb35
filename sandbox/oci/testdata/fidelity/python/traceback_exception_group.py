def fail(e):
    raise e


errors = []
for e in (ValueError("a"), ExceptionGroup("inner", [TypeError("b"), KeyError("c")])):
    try:
        fail(e)
    except Exception as caught:
        errors.append(caught)
raise ExceptionGroup("outer", errors)
