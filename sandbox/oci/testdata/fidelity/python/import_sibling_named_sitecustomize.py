import sitecustomize
import usercustomize

print(sitecustomize.__file__, usercustomize.__file__)
