/**
 * Keeps so many requests under way until all have been answered, first a fifth of them to warm up.
 * @param {(text: string) => Promise<string>} request
 */
export async function measureRequests(request, depth, count) {
  const text = 'x'.repeat(63)
  const runAll = async (total) => {
    let left = total
    const one = async () => {
      while (left-- > 0) if ((await request(text)) !== text) throw new Error('a wrong answer')
    }
    await Promise.all(Array.from({ length: depth }, one))
  }
  await runAll(count / 5)
  const started = { at: performance.now(), cpu: process.cpuUsage() }
  await runAll(count)
  const { user, system } = process.cpuUsage(started.cpu)
  const seconds = (performance.now() - started.at) / 1000
  process.stdout.write(JSON.stringify({ seconds, cpu: (user + system) / 1e6 }))
}
