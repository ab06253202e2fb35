import helper

print(helper.kept.name)
