import { hasClient } from '../../scripts/debian-clients.ts'
import { crashPoints } from './crash-point.ts'
import { injectionObstacle } from './injection.ts'
import { failingDiskObstacle, tmpfsObstacle } from './mounts.ts'
import type { OwnOptions, ScenarioOptions, ScenarioResult } from './scenario.ts'
import { crashPointsScenario } from './scenarios/crash-points.ts'
import { damagedFiles } from './scenarios/damaged-files.ts'
import { destinationKilled } from './scenarios/destination-killed.ts'
import { diskFull } from './scenarios/disk-full.ts'
import { drain } from './scenarios/drain.ts'
import { ioError } from './scenarios/io-error.ts'
import { kill } from './scenarios/kill.ts'
import { poison } from './scenarios/poison.ts'
import { powerLoss } from './scenarios/power-loss.ts'
import { readOnly } from './scenarios/read-only.ts'
import { reload, reloadWorkers } from './scenarios/reload.ts'
import { secondProcess } from './scenarios/second-process.ts'
import { sinkDown } from './scenarios/sink-down.ts'
import { bufferingWorkerKilled, workerKilled } from './scenarios/worker-killed.ts'
import { DELIVERY } from './setup.ts'

/** How much of a scenario is run. */
export type Extent = Pick<ScenarioOptions, 'rounds' | 'acknowledged'>

export interface AnyScenario {
  readonly name: string
  /** What it proves, in a few words. */
  readonly proves: string
  /** Why it cannot be run on this machine; undefined when it can. */
  obstacle(): Promise<string | undefined>
  /** In `npm test`. */
  readonly short: Extent
  /** In `npm run soak`. */
  readonly long: Extent
}

/** A scenario that holds for whatever makes a message durable. */
export interface Scenario extends AnyScenario {
  run(options: ScenarioOptions): Promise<ScenarioResult>
}

/** A scenario that needs a configuration of its own. */
export interface OwnScenario extends AnyScenario {
  /** What messages go through, in a few words. */
  readonly setup: string
  /** Messages that may be there twice after one fault. */
  readonly window: number
  run(options: OwnOptions): Promise<ScenarioResult>
}

const none = () => Promise.resolve(undefined)

/** The scenarios that are run with each setup, cheapest first. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'drain',
    proves: 'SIGTERM under load loses nothing and ends with 0 and whole answers',
    run: drain,
    obstacle: none,
    short: { rounds: 2, acknowledged: 4000 },
    long: { rounds: 50, acknowledged: 250_000 },
  },
  {
    name: 'kill',
    proves: 'kill -9 at random times under load loses nothing',
    run: kill,
    obstacle: none,
    short: { rounds: 5, acknowledged: 10_000 },
    long: { rounds: 100, acknowledged: 1_000_000 },
  },
  {
    name: 'power-loss',
    proves: 'a power cut under load loses nothing',
    run: powerLoss,
    obstacle: failingDiskObstacle,
    short: { rounds: 2, acknowledged: 4000 },
    long: { rounds: 20, acknowledged: 200_000 },
  },
  {
    name: 'disk-full',
    proves: 'a full disk loses nothing, and the server goes on when space returns',
    run: diskFull,
    obstacle: tmpfsObstacle,
    short: { rounds: 2, acknowledged: 2000 },
    long: { rounds: 12, acknowledged: 12_000 },
  },
  {
    name: 'io-error',
    proves: 'a failing sync or write acknowledges nothing, and the server goes on when it works again',
    run: ioError,
    obstacle: injectionObstacle,
    short: { rounds: 2, acknowledged: 2000 },
    long: { rounds: 40, acknowledged: 100_000 },
  },
  {
    name: 'read-only',
    proves: 'a start on a read-only disk ends in a sentence and loses nothing',
    run: readOnly,
    obstacle: tmpfsObstacle,
    short: { rounds: 2, acknowledged: 400 },
    long: { rounds: 20, acknowledged: 4000 },
  },
  {
    name: 'damaged-files',
    proves: 'a start on damaged files never hangs, and what is acknowledged afterwards is there',
    run: damagedFiles,
    obstacle: none,
    short: { rounds: 3, acknowledged: 2000 },
    long: { rounds: 300, acknowledged: 2000 },
  },
]

/** The scenarios that bring their own setup. */
export const ownScenarios: readonly OwnScenario[] = [
  {
    name: 'second-process',
    setup: 'buffer',
    window: DELIVERY,
    proves: 'a second server on the same data folder refuses, and the first goes on',
    run: secondProcess,
    obstacle: none,
    short: { rounds: 1, acknowledged: 1000 },
    long: { rounds: 20, acknowledged: 40_000 },
  },
  {
    name: 'poison',
    setup: 'script-thread-sqlite',
    window: 0,
    proves: 'a message that throws, loops, ends its thread or is refused becomes a dead letter and holds up nobody',
    run: (options) => poison('thread', options),
    obstacle: none,
    short: { rounds: 2, acknowledged: 2000 },
    long: { rounds: 5, acknowledged: 100_000 },
  },
  {
    name: 'poison-process',
    setup: 'script-process-sqlite',
    window: 0,
    proves: 'with isolate: process so does a message that aborts or kills the process it is worked on in',
    run: (options) => poison('process', options),
    obstacle: none,
    short: { rounds: 2, acknowledged: 2000 },
    long: { rounds: 5, acknowledged: 100_000 },
  },
  {
    name: 'crash-points',
    setup: 'buffer',
    window: DELIVERY,
    proves: `kill -9 before and after each of ${crashPoints.length} system calls loses nothing, and the next start goes on`,
    run: crashPointsScenario,
    obstacle: injectionObstacle,
    // The first ones from one side; the soak has all of them from both, several times.
    short: { rounds: 8, acknowledged: 2000 },
    long: { rounds: 10 * 2 * crashPoints.length, acknowledged: 200_000 },
  },
  {
    name: 'reload',
    setup: 'sqlite',
    window: 0,
    proves: 'reloads under load refuse and drop nobody, and a wrong configuration changes nothing',
    run: reload,
    obstacle: none,
    short: { rounds: 5, acknowledged: 500 },
    long: { rounds: 100, acknowledged: 50_000 },
  },
  {
    name: 'reload-workers',
    setup: 'sqlite',
    window: 0,
    proves: 'the same with two workers',
    run: reloadWorkers,
    obstacle: none,
    short: { rounds: 2, acknowledged: 200 },
    long: { rounds: 100, acknowledged: 50_000 },
  },
  {
    name: 'worker-killed',
    setup: 'sqlite',
    window: 0,
    proves: 'kill -9 of one worker of two, again and again under load, refuses nobody and loses nothing',
    run: workerKilled,
    obstacle: none,
    short: { rounds: 3, acknowledged: 600 },
    long: { rounds: 40, acknowledged: 1_000_000 },
  },
  {
    name: 'worker-killed-buffer',
    setup: 'buffer',
    window: DELIVERY,
    proves: 'the same where a disk buffer has acknowledged: what waits for a dead worker is delivered by the next one',
    run: bufferingWorkerKilled,
    obstacle: none,
    short: { rounds: 2, acknowledged: 400 },
    long: { rounds: 20, acknowledged: 500_000 },
  },
  {
    name: 'destination-killed',
    setup: 'jetstream-buffer',
    window: DELIVERY,
    proves: 'kill -9 of the destination loses nothing that waits for it',
    run: destinationKilled,
    obstacle: async () => (hasClient('nats-server') ? undefined : 'nats-server is not installed'),
    short: { rounds: 1, acknowledged: 2000 },
    long: { rounds: 20, acknowledged: 200_000 },
  },
  {
    name: 'sink-down',
    setup: 'http-buffer',
    window: DELIVERY,
    proves: 'a destination that refuses, swallows or resets for a while gets everything afterwards, in order',
    run: sinkDown,
    obstacle: none,
    short: { rounds: 3, acknowledged: 4000 },
    long: { rounds: 3, acknowledged: 400_000 },
  },
]
