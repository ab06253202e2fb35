import unittest


class Sums(unittest.TestCase):
    def test_good(self):
        self.assertEqual(1 + 1, 2)

    def test_bad(self):
        self.assertEqual(1 + 1, 3)


class Result(unittest.TextTestResult):
    pass


if __name__ == "__main__":
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromName("__main__").run(result)
    print(result, result.failures[0][1], result.failures[0][0])
