import type { Registry } from '../registry/registry.ts'
import { checkAddresses } from './addresses.ts'
import { ConfigError } from './config-error.ts'
import { withDefaults } from './defaults.ts'
import { EndpointNames } from './endpoint-names.ts'
import { planConnect, planListen } from './endpoints.ts'
import type { Environment } from './environment.ts'
import { substitute } from './environment.ts'
import { DeviceIds } from './hosts.ts'
import type { LoadedConfig } from './loaded.ts'
import { warnOfLookAlikes } from './look-alikes.ts'
import { checkFiles } from './part-files.ts'
import type { EndpointPlan, Plan } from './planned.ts'
import { type CountersByName, Planner } from './planner.ts'
import type { Problem } from './problems.ts'
import { Report } from './report.ts'
import { planSchedule } from './schedule.ts'
import { type ConfigOutput, configSchema } from './schema.ts'
import { checkScopes } from './scopes.ts'
import { isMapping } from './shape.ts'
import { planSubscribe } from './subscribe.ts'
import { validate } from './validate.ts'

export {
  type ConnectPlan,
  type DevicePlan,
  type EndpointPlan,
  type ListenPlan,
  type Plan,
  PlannedDataflow,
  type SchedulePlan,
  type SocketPlan,
  type SourcePlan,
  type StepPlan,
  type SubscribePlan,
} from './planned.ts'

/** What became of a configuration. There is a plan exactly when no problem is an error. */
export interface Planned {
  readonly plan: Plan | undefined
  /** All of them, in the order of the file. */
  readonly problems: readonly Problem[]
}

/**
 * Checks a configuration and plans it. One mistake does not hide another: all of them are found at once.
 * @param env where `${env.NAME}` and `env.NAME` look; it is read now and never again
 * @param counters those of a server that is to be reloaded; nothing counts there before
 */
export function planConfig(
  written: LoadedConfig,
  registry: Registry,
  env: NodeJS.ProcessEnv,
  counters: CountersByName = new Map(),
): Planned {
  const loaded = withDefaults(written)
  const report = new Report(loaded)
  const set = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const environment: Environment = { env: Object.fromEntries(set), baseDir: loaded.baseDir }
  const plan = isUsable(loaded, report) ? planValue(loaded, registry, environment, report, counters) : undefined
  return { plan: report.failed ? undefined : plan, problems: report.finish() }
}

function isUsable({ value, file, problems }: LoadedConfig, report: Report): boolean {
  if (value === undefined && problems.length > 0) return false
  if (isMapping(value)) return true
  const expected = 'listen:, connect:, subscribe: or schedule:, with at least one endpoint'
  const message =
    value === null || value === undefined
      ? 'the configuration is empty'
      : `${file || 'the configuration'} is no mapping`
  report.add({ code: 'FILE_EMPTY', path: [], message, expected })
  return false
}

function planValue(
  loaded: LoadedConfig,
  registry: Registry,
  environment: Environment,
  report: Report,
  counters: CountersByName,
): Plan | undefined {
  const value = substitute(loaded.value, configSchema, [], environment, report)
  const config = validate(configSchema, value, [], report)?.output
  warnOfLookAlikes(value, configSchema, [], report)
  if (config === undefined) return undefined
  const names = new EndpointNames(loaded.value as Record<string, unknown>, report)
  names.check()
  if (config.include !== undefined) {
    const hint = 'name the file to sluice run, or put the values together in your program'
    const message = 'include is for files, and this configuration was read from none'
    report.add({ code: 'INCLUDE_INVALID', path: ['include'], at: 'key', message, hint })
  }
  const planner = new Planner(registry, report, environment, config.dataflows ?? {}, names, counters)
  const { listen = {}, connect = {} } = config
  const alone = Object.keys(connect).filter((name) => connect[name]!.hosts === undefined)
  const ids = new DeviceIds(new Set([...Object.keys(listen), ...alone]))
  const endpoints = [
    ...Object.entries(listen).map(([name, entry]) => planListen(name, entry, planner, environment, report)),
    ...Object.entries(connect).map(([name, entry]) => planConnect(name, entry, planner, ids, environment, report)),
    ...Object.entries(config.subscribe ?? {}).map(([name, entry]) =>
      planSubscribe(name, entry, planner, registry, report),
    ),
    ...Object.entries(config.schedule ?? {}).map(([name, entry]) => planSchedule(name, entry, planner, report)),
  ]
  planner.finish()
  const planned = endpoints.filter((endpoint): endpoint is EndpointPlan => endpoint !== undefined)
  const lineFraming = planner.parts.framing('line', [])?.part
  const admin = adminOf(config)
  checkAddresses(listen, admin, loaded.baseDir, report)
  checkScopes(config.workers, planned, report)
  // Where there is another mistake, the step that would make a file may be missing in the plan.
  if (!report.failed) checkFiles(planned, loaded.baseDir, report)
  // Whoever has reported a mistake has given nothing; then there is no plan.
  if (lineFraming === undefined || report.failed) return undefined
  return {
    endpoints: planned,
    lineFraming,
    data: config.data,
    admin,
    log: config.log,
    workers: config.workers,
    balance: config.balance,
    baseDir: loaded.baseDir,
    secrets: report.secrets,
    async ready() {
      await planner.parts.ready()
      if (report.failed) throw new ConfigError(report.finish())
    },
  }
}

function adminOf({ admin }: ConfigOutput): Plan['admin'] {
  return typeof admin === 'number' ? { host: '127.0.0.1', port: admin } : admin
}
