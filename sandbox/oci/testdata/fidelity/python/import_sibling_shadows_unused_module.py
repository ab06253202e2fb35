import wave

print(wave.mine, wave.__file__)
