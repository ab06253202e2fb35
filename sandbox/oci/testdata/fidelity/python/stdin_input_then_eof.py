print(input("name? "))
print(input())
print(input("more? "))
