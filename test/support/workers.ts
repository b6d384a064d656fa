import { existsSync } from 'node:fs'
import type { RunningSluice } from './cli.ts'
import { Peer } from './peer.ts'

/** The process of a worker that has begun last in its slot. Waits until there have been so many. */
export async function workerOf(running: RunningSluice, worker: number, life = 1): Promise<number> {
  const lives = () => running.log.filter((line) => line.event === 'worker.started' && line['worker'] === worker)
  await running.command.until(() => lives().length >= life)
  return Number(lives().at(-1)!['pid'])
}

/** Connects so often that each of two workers has one more connection; gives the one of the first worker first. */
export async function connectToBoth(port: number): Promise<readonly [Peer, Peer]> {
  const peers = await Promise.all([Peer.connect(port), Peer.connect(port)])
  const greetings = await Promise.all(peers.map((peer) => peer.send('who\n').hear('\n')))
  return greetings[0]!.includes('-1') ? [peers[0]!, peers[1]!] : [peers[1]!, peers[0]!]
}

/** Waits until a process is gone. */
export async function ended(pid: number): Promise<void> {
  while (existsSync(`/proc/${pid}`)) await new Promise((resolve) => setTimeout(resolve, 5))
}
