// Writes the data of the benchmarks, the same bytes every time: readings.ndjson, and expected.ndjson, which is what the
// benchmark `json` must make of it.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const LINES = 200_000
const START = Date.UTC(2026, 0, 1)
const SITES = ['plant-north', 'plant-south', 'depot-7', 'harbour', 'lab', 'köln-ost']
const STATUS = ['ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'warn', 'fault', 'calibrating']

/** @returns the paths of the two files */
export function makeData(folder) {
  const random = createRandom(1)
  const readings = Array.from({ length: LINES }, (_, i) => reading(i, random))
  const hot = readings.filter(({ temp }) => temp > 30)
  const data = join(folder, 'readings.ndjson')
  const expected = join(folder, 'expected.ndjson')
  writeFileSync(data, toLines(readings))
  writeFileSync(expected, toLines(hot.map(({ device, temp }) => ({ device, temp, f: (temp * 9) / 5 + 32 }))))
  return { data, expected }
}

/** About 175 bytes; one line in six has a letter outside ASCII; 30 % of the temperatures are above 30. */
function reading(i, random) {
  const int = (low, high) => low + Math.floor(random() * (high - low + 1))
  const pick = (list) => list[int(0, list.length - 1)]
  return {
    ts: new Date(START + i * 37).toISOString(),
    device: `sensor-${String(int(0, 1999)).padStart(4, '0')}`,
    site: pick(SITES),
    temp: int(90, 389) / 10,
    humidity: int(150, 950) / 10,
    pressure: int(97_000, 104_000) / 100,
    battery: int(0, 100),
    status: pick(STATUS),
    fw: `2.${int(0, 9)}.${int(0, 20)}`,
    seq: i,
  }
}

function toLines(values) {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('')
}

/** Numbers in [0, 1) from a linear congruential generator: chance is no virtue here, sameness is. */
function createRandom(seed) {
  let state = BigInt(seed)
  return () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn
    return Number(state >> 33n) / 2 ** 31
  }
}
