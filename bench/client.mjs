// What a request of `connect()` costs beside one of a client that is written by hand on node:net. See README.md.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startServer } from './processes.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))
const CLIENT_CPU = '1'
/** Requests that are under way at a time. */
const DEPTHS = [1, 16, 256]
const TARGET = 0.7

/** @returns one benchmark with `name` and `run`, which gives the rows of its table */
export function createClientBenchmarks({ quick, sluice, pairs }) {
  const library = join(dirname(sluice), '../dist/index.js')
  const times = Number(pairs ?? (quick ? 3 : 5))
  return [
    {
      name: 'client',
      async run() {
        const server = await startServer([process.execPath, join(HERE, 'baseline/echo.mjs')], {})
        try {
          const rows = []
          for (const depth of DEPTHS) rows.push(await compare(server.port, library, depth, times, quick))
          return rows
        } finally {
          await server.stop()
        }
      },
    },
  ]
}

/** Ours, by hand, ours, by hand …, at one depth. */
async function compare(port, library, depth, times, quick) {
  const count = (quick ? 20_000 : 60_000) * Math.min(depth, 8)
  const measured = []
  for (let i = 1; i <= times; i++) {
    process.stderr.write(`client ${depth}: pair ${i} of ${times}\n`)
    const ours = await runClient('client-sluice.mjs', { port, depth, count, library })
    measured.push({ ours, byHand: await runClient('baseline/client.mjs', { port, depth, count, library }) })
  }
  const ratios = measured.map(({ ours, byHand }) => byHand.cpu / ours.cpu).toSorted((a, b) => a - b)
  const middle = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]
  const perMillion = (which) => middle(measured.map((pair) => (pair[which].cpu / count) * 1e6)).toFixed(2)
  const rate = (which) => Math.round(middle(measured.map((pair) => count / pair[which].seconds))).toLocaleString('en')
  const ratio = middle(ratios)
  return {
    'under way': String(depth),
    'CPU s per M requests': perMillion('ours'),
    'by hand': perMillion('byHand'),
    'by hand / sluice': ratio.toFixed(2),
    range: `${ratios[0].toFixed(2)} … ${ratios.at(-1).toFixed(2)}`,
    target: `>= ${TARGET}`,
    '': ratio >= TARGET ? 'pass' : 'FAIL',
    'requests/s': rate('ours'),
    'by hand/s': rate('byHand'),
  }
}

/** Runs a client to its end. @returns the seconds that its requests took, and those of CPU time */
async function runClient(file, { port, depth, count, library }) {
  const command = ['-c', CLIENT_CPU, process.execPath, join(HERE, file), ...[port, depth, count, library].map(String)]
  const child = spawn('taskset', command, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${file} failed`)
  return JSON.parse(text)
}
