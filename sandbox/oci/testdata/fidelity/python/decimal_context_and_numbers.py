import decimal
import fractions
import math
import statistics

print(decimal.getcontext())
print(decimal.Decimal(1) / 7, fractions.Fraction(1, 3) + 1, statistics.median([1, 3, 2]))
print(math.pi, 0.1 + 0.2, 2**100, 1e400, -7 // 2, round(2.5))
decimal.getcontext().prec = 5
print(decimal.Decimal(2).sqrt())
print(decimal.DefaultContext)
decimal.Decimal(1) / 0
