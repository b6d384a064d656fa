import { join, resolve } from 'node:path'
import type { Codec } from '../contracts/codec.ts'
import type { PartContext } from '../contracts/context.ts'
import type { BufferCounters, EndpointCounters, ObservedUpstream } from '../contracts/counters.ts'
import type { SinkDefinition, StepDefinition } from '../contracts/define.ts'
import type { BufferOptions, DeliveryOptions } from '../contracts/delivery.ts'
import type { Device } from '../contracts/device.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import type { Framing } from '../contracts/framing.ts'
import type { Dataflow } from '../contracts/message.ts'
import type { Expression } from '../contracts/schema.ts'
import type { Batching, Sink } from '../contracts/sink.ts'
import type { TlsLayer } from '../contracts/transport.ts'
import { countDeadLetters, createHooks } from '../delivery/burial.ts'
import type { Delivery } from '../delivery/deliverer.ts'
import { withLateDeliveries } from '../delivery/late-deliveries.ts'
import { withMerging } from '../delivery/merging.ts'
import { type RetryOptions, withRetry } from '../delivery/retry.ts'
import type { StageSpec } from '../engine/dataflow.ts'
import type { ConnectSpec, EndpointSpec, ListenSpec } from '../engine/spec.ts'
import type { RelaySpec } from '../relay/spec.ts'
import type { SourceSpec } from '../source/spec.ts'
import { createTimer } from '../source/timer.ts'
import { createProxyLayer } from '../transports/proxy.ts'
import { createClientTls, createServerTls } from '../transports/tls.ts'
import { bindDataflows } from './bind-dataflows.ts'
import { createBuffered, createSettle } from './buffers.ts'
import { createRelay } from './build-relay.ts'
import type { DataFolder } from './data-folder.ts'
import { type Behind, EntryPoints, Level, type Place } from './entry-points.ts'
import { withKeys } from './keys.ts'
import { oneByOne } from './one-by-one.ts'
import type { EndpointPlan, Plan, SocketPlan, SourcePlan, StepPlan } from './plan.ts'
import type { ConnectPlan, ListenPlan, RelayPlan, UpstreamPlan } from './planned.ts'
import { formatPath } from './problems.ts'
import { isTrueFor, nestedIn } from './step-words.ts'

/** What parts share beyond their endpoint; made once for a server. */
export interface World
  extends Omit<PartContext, 'id' | 'endpoint' | 'codec' | 'createTls' | 'resolvePath' | 'dataPath' | 'log'> {
  readonly events: Events
  readonly data: DataFolder
  /** Stands in for a sink, in dataflow tests. Undefined means: create the real one. */
  readonly replaceSink?: (plan: StepPlan) => Sink | undefined
  readonly lineFraming: Framing
}

/** Endpoints that are ready for the engine, and the way to close what their parts have opened. */
export interface Built {
  readonly endpoints: readonly (ListenSpec | ConnectSpec)[]
  /** Their subscriptions have opened nothing yet, and are not closed with what was built: they may outlive it. */
  readonly sources: readonly SourceSpec[]
  readonly buffers: readonly BufferCounters[]
  /** Begins to deliver what waits in buffers: from now on these dataflows are in force, and no others. */
  activate(): void
  /** Where a dead letter can go in again, by endpoint. */
  readonly entryPoints: ReadonlyMap<string, EntryPoints>
  /** The servers behind each relay, by endpoint. */
  readonly upstreams: ReadonlyMap<string, readonly ObservedUpstream[]>
  /**
   * Closes steps and sinks, last created first, also those behind one that cannot be closed. Once, however often it is
   * called.
   * @throws AggregateError what they threw, once all have been closed
   */
  close(): Promise<void>
}

/**
 * Turns a plan into running parts: every step and sink is created, every dataflow bound.
 * @throws what a part's `create` throws; what was created before is closed again
 */
export async function build(plan: Plan, world: World): Promise<Built> {
  const builder = new Builder(plan, world)
  try {
    const endpoints: (ListenSpec | ConnectSpec)[] = []
    const sources: SourceSpec[] = []
    for (const endpoint of plan.endpoints) {
      if (endpoint.kind === 'subscribe' || endpoint.kind === 'schedule') sources.push(await builder.source(endpoint))
      else endpoints.push(await builder.endpoint(endpoint))
    }
    const { buffers, entryPoints, upstreams } = builder
    return {
      endpoints,
      sources,
      buffers: [...buffers],
      entryPoints,
      upstreams,
      activate: () => {
        for (const activate of builder.activations) activate()
      },
      close: () => builder.close(),
    }
  } catch (thrown) {
    // Why it could not be built is what the user needs to know, whatever else the cleanup finds.
    await builder.close().catch(() => {})
    throw thrown
  }
}

class Builder {
  readonly buffers = new Set<BufferCounters>()
  readonly activations: (() => void)[] = []
  readonly entryPoints = new Map<string, EntryPoints>()
  readonly upstreams = new Map<string, readonly ObservedUpstream[]>()
  readonly #scopes = new Map<string, Scope>()
  readonly #plan: Plan
  readonly #world: World
  readonly #closers: (() => void | Promise<void>)[] = []
  /** What steps still hold is sent on before anything is closed, in the order of the dataflows. */
  readonly #flushers: (() => Promise<void>)[] = []
  #closing: Promise<void> | undefined = undefined

  constructor(plan: Plan, world: World) {
    this.#plan = plan
    this.#world = world
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll()
    return this.#closing
  }

  async #closeAll(): Promise<void> {
    const errors: unknown[] = []
    for (const close of [...this.#flushers.splice(0), ...this.#closers.splice(0).reverse()]) {
      try {
        await close()
      } catch (thrown) {
        errors.push(thrown)
      }
    }
    if (errors.length === 0) return
    const texts = errors.map((error) => toSluiceError(error).message)
    throw new AggregateError(errors, `not everything could be closed: ${texts.join('; ')}`)
  }

  async endpoint(plan: SocketPlan): Promise<ListenSpec | ConnectSpec> {
    const { scope, dataflow } = this.#begin(plan)
    const { codec, counters, entryPoints } = scope
    // First, because what cannot be delivered from a buffer ends there.
    scope.onError = await dataflow(plan.onError)
    const spec: EndpointSpec = {
      name: plan.name,
      framing: plan.framingIn,
      format: plan.formatIn,
      codec,
      dataflow: await dataflow(plan.dataflow, plan.key),
      onConnect: await dataflow(plan.onConnect),
      onDisconnect: await dataflow(plan.onDisconnect),
      onError: scope.onError,
      runOnConnect: plan.runOnConnect,
      limits: plan.limits,
      tls: undefined,
      transport: this.#world.tcp,
      counters,
    }
    entryPoints.dataflow = spec.dataflow
    if (plan.kind === 'listen') {
      const tls = plan.tls && (await placed(plan, 'tls', () => createServerTls(plan.tls!)))
      const relay = plan.relay && (await this.#relay(plan, plan.relay, dataflow))
      const proxy = plan.proxyProtocol && createProxyLayer(plan.proxyProtocol)
      return { ...spec, ...relay, kind: 'listen', proxy, tls, addresses: plan.addresses }
    }
    const { reconnect, poll } = plan
    const devices: readonly Device[] = await this.#secured(plan, plan.tls, plan.devices)
    return { ...spec, kind: 'connect', tls: devices[0]?.tls, devices, reconnect, poll }
  }

  /** Gives each of what is dialled the TLS for its name. Those that are known by their address alone share one. */
  async #secured<Target extends { readonly servername: string | undefined }>(
    plan: SocketPlan,
    tls: ConnectPlan['tls'],
    targets: readonly Target[],
  ): Promise<(Omit<Target, 'servername'> & { readonly tls: TlsLayer | undefined })[]> {
    const layers = new Map<string | undefined, TlsLayer>()
    const secured: (Omit<Target, 'servername'> & { readonly tls: TlsLayer | undefined })[] = []
    for (const { servername, ...target } of targets) {
      const options = tls && { ...tls, ...(servername !== undefined && { servername }) }
      const layer = options && (layers.get(servername) ?? (await placed(plan, 'tls', () => createClientTls(options))))
      if (layer !== undefined) layers.set(servername, layer)
      secured.push({ ...target, tls: layer })
    }
    return secured
  }

  async #relay(
    plan: ListenPlan,
    relay: RelayPlan,
    dataflow: (steps: readonly StepPlan[] | undefined) => Promise<Dataflow | undefined>,
  ): Promise<Pick<RelaySpec, 'serve' | 'inspect' | 'mirror'>> {
    const { tcp: transport, events, share } = this.#world
    const secured = (tls: RelayPlan['tls'], targets: readonly UpstreamPlan[]) => this.#secured(plan, tls, targets)
    const opened = (close: () => Promise<void>) => void this.#closers.push(close)
    const parts = { transport, events, share, opened, dataflow, secured }
    const { spec, upstreams } = await createRelay(plan.name, relay, parts)
    this.upstreams.set(
      plan.name,
      upstreams.flatMap(({ all }) => all),
    )
    for (const servers of upstreams) this.activations.push(() => servers.watch())
    return spec
  }

  async source(plan: SourcePlan): Promise<SourceSpec> {
    const { scope, dataflow } = this.#begin(plan)
    const { codec, counters, entryPoints } = scope
    scope.onError = await dataflow(plan.onError)
    entryPoints.dataflow = await dataflow(plan.dataflow, plan.key)
    const flows = { dataflow: entryPoints.dataflow, onError: scope.onError }
    const spec = { name: plan.name, format: plan.formatIn, codec, ...flows, counters }
    if (plan.kind === 'schedule') {
      const { name: endpoint, timing } = plan
      const { events, clock } = this.#world
      const subscription = createTimer(timing, clock, () => events.emit('schedule.skipped', { endpoint }))
      return { ...spec, kind: 'schedule', maxQueued: 0, subscription, identity: timing }
    }
    const { maxQueued, identity, definition, options } = plan
    const context = this.#context({ id: formatPath(plan.path) }, scope)
    const subscription = await placed(plan, definition.name, () => definition.create(options, context))
    return { ...spec, kind: 'subscribe', maxQueued, subscription, identity }
  }

  /** What the dataflows of an endpoint need, and what binds them. */
  #begin(plan: EndpointPlan) {
    const { counters } = plan
    const codec: Codec = { framing: plan.framingOut, format: plan.formatOut }
    const keyStep = formatPath([...plan.path, 'key'])
    const entryPoints = new EntryPoints(plan.formatIn, counters, keyStep)
    this.entryPoints.set(plan.name, entryPoints)
    const scope: Scope = { plan, codec, counters, entryPoints, onError: undefined }
    this.#scopes.set(plan.name, scope)
    const dataflow = async (steps: readonly StepPlan[] | undefined, key?: Expression) => {
      if (steps === undefined) return undefined
      const bound = await this.#dataflow(steps, scope)
      const whole = key === undefined ? bound : withKeys(bound, key, keyStep, counters)
      const waits = hasStep(({ waits }, options) => isTrueFor(waits, options))
      // What fails in it comes to the onError of the endpoint in the same run.
      if ([...steps, ...(plan.onError ?? [])].some(waits)) return { ...oneByOne(whole), oneMessage: true }
      return steps.some(hasStep((definition) => definition.oneByOne === true)) ? oneByOne(whole) : whole
    }
    return { scope, dataflow }
  }

  /** @param behind where a message goes that comes out of it; undefined when it ends there */
  async #dataflow(steps: readonly StepPlan[], scope: Scope, behind?: Behind): Promise<Dataflow> {
    const level = new Level(createHooks(scope.counters, this.#world.events), behind)
    const stages: StageSpec[] = []
    for (const [index, step] of steps.entries()) {
      const place = { level, index }
      scope.entryPoints.add(step.id, place)
      stages.push(await this.#stage(step, scope, place))
    }
    return level.bind(stages)
  }

  async #stage(plan: StepPlan, scope: Scope, place: Place): Promise<StageSpec> {
    const { definition, id, condition, timeout } = plan
    const around = {
      id,
      condition,
      timeout,
      otherwise: plan.otherwise && (await this.#dataflow(plan.otherwise, scope)),
      onError: plan.onError && (await this.#dataflow(plan.onError, scope)),
    }
    if (definition.kind === 'sink') {
      return { ...around, sink: await this.#sink(plan, definition, scope, around.onError) }
    }
    const options = await bindDataflows(plan.options, async ({ steps }, path) => {
      const then = definition.afterInner?.(plan.options, path)
      const bound = await this.#dataflow(steps, scope, then === 'end' ? undefined : { place, then, word: plan.name })
      // A step may make several messages of the one that the dataflow around it has taken.
      return steps.some(hasStep((inner) => inner.oneByOne === true)) ? oneByOne(bound) : bound
    })
    const step = await placed(plan, plan.name, () => definition.create(options, this.#context(plan, scope)))
    this.#closers.push(() => step.close?.())
    if (step.flush !== undefined) this.#flushers.push(() => step.flush!())
    return { ...around, step }
  }

  async #sink(plan: StepPlan, definition: SinkDefinition, scope: Scope, onError: Dataflow | undefined): Promise<Sink> {
    const replaced = this.#world.replaceSink?.(plan)
    if (replaced !== undefined) return replaced
    const { events, signal } = this.#world
    const options = await bindDataflows(plan.options, ({ steps }) => this.#dataflow(steps, scope))
    const sink = await placed(plan, plan.name, () => definition.create(options, this.#context(plan, scope)))
    const merged = definition.batching === undefined ? sink : withMerging(sink, options as Batching)
    const retry: RetryOptions = {
      ...plan.retry,
      step: plan.id,
      signal,
      onRetry: (attempt, error, retryIn) => events.emit('sink.retried', { step: plan.id, attempt, error, retryIn }),
    }
    const onLate = (messages: number) => events.emit('sink.deliveredLate', { step: plan.id, messages })
    const { buffer } = options as DeliveryOptions
    if (buffer === undefined) {
      this.#closers.push(() => merged.close())
      return withLateDeliveries(withRetry(merged, retry), onLate)
    }
    const buffered = await placed(plan, plan.name, () => this.#buffered(plan, merged, buffer, retry, scope, onError))
    this.#closers.push(() => buffered.close())
    return withLateDeliveries(buffered, onLate)
  }

  async #buffered(
    plan: StepPlan,
    sink: Sink,
    buffer: BufferOptions,
    retry: RetryOptions,
    scope: Scope,
    onError: Dataflow | undefined,
  ): Promise<Sink> {
    const { clock, storage, data, events, deadLetters, share, signal: late } = this.#world
    const { id: step, name } = plan
    const around = { step, name, endpoint: scope.plan.name, clock, storage, data, share, events, late }
    const delivery: Delivery = {
      sink,
      buffer,
      retry,
      formatOf: (endpoint) => (this.#plan.endpoints.find((one) => one.name === endpoint) ?? scope.plan).formatIn,
      settle: createSettle(around, buffer.kind, deadLetters, (endpoint) => {
        const of = this.#scopes.get(endpoint) ?? scope
        return { onError: onError ?? of.onError, counters: of.counters }
      }),
    }
    try {
      const buffered = await createBuffered(delivery, around)
      this.buffers.add(buffered.counters)
      this.activations.push(() => buffered.activate())
      return buffered.sink
    } catch (thrown) {
      await sink.close()
      throw thrown
    }
  }

  #context({ id }: Pick<StepPlan, 'id'>, { plan, codec, counters }: Scope): PartContext {
    const { clock, clients, storage, data, deadLetters, tcp, signal, lineFraming, importPackage, share, events } =
      this.#world
    return {
      id,
      endpoint: plan.name,
      clock,
      clients,
      codec,
      lineFraming,
      storage,
      deadLetters: countDeadLetters(deadLetters, counters, events),
      tcp,
      createTls: createClientTls,
      signal,
      importPackage,
      resolvePath: (path) => resolve(this.#plan.baseDir, path),
      dataPath(name) {
        data.lock()
        return join(data.path, name)
      },
      share,
      log: (level, text, message) => events.emit('part.logged', { level, step: id, text, client: message?.client }),
    }
  }
}

/**
 * Creates something, and says in an error where it stands: `sluice.yaml:12: listen.scales.dataflow[2] (sqlite): …`.
 * @param part what of the place it is
 */
async function placed<T>(
  { path, position }: Pick<StepPlan, 'path' | 'position'>,
  part: string,
  create: () => T | Promise<T>,
): Promise<T> {
  try {
    return await create()
  } catch (thrown) {
    const { code, message, hint, retryable } = toSluiceError(thrown)
    const line = position === undefined ? '' : `${position.file}:${position.line}: `
    const place = `${line}${formatPath(path)} (${part})`
    throw new SluiceError(code, `${place}: ${message}`, {
      cause: thrown,
      retryable,
      ...(hint !== undefined && { hint }),
    })
  }
}

/** What a dataflow needs to know of the endpoint that it belongs to. */
interface Scope {
  readonly plan: EndpointPlan
  readonly codec: Codec
  readonly counters: EndpointCounters
  readonly entryPoints: EntryPoints
  /** Takes what fails and has no `onError` of its step; set once it is built. */
  onError: Dataflow | undefined
}

/** Whether a step, or one in a dataflow that it holds, is of a kind. */
function hasStep(is: (definition: StepDefinition, options: unknown) => boolean): (plan: StepPlan) => boolean {
  const has = ({ definition, options, otherwise, onError }: StepPlan): boolean => {
    if (definition.kind === 'step' && is(definition, options)) return true
    return [otherwise, onError, ...nestedIn(options).map(({ steps }) => steps)].some((steps) => steps?.some(has))
  }
  return has
}
