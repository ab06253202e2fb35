import asyncio


async def work(n):
    await asyncio.sleep(0.01 * n)
    return n


async def main():
    print(await asyncio.gather(*(work(n) for n in (3, 1, 2))))
    async with asyncio.TaskGroup() as g:
        g.create_task(work(1), name="one")
    print(asyncio.current_task().get_name())
    p = await asyncio.create_subprocess_exec("sh", "-c", "echo sub; exit 3", stdout=asyncio.subprocess.PIPE)
    print((await p.communicate())[0], p.returncode)
    print(await asyncio.to_thread(sum, [1, 2]))


asyncio.run(main())
