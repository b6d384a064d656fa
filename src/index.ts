/**
 * Sluice as a library. Importing it loads neither the command line nor the admin server nor a metrics client.
 */

export { ConfigError } from './config/config-error.ts'
export { DEFAULT_DRAIN_MS } from './config/planned-server.ts'
export { formatProblems, type Problem } from './config/problems.ts'
export { Batch } from './contracts/batch.ts'
export { type Address, type Client, formatAddress, type PayloadKind } from './contracts/client.ts'
export type { Clients, SendResult, SendTarget } from './contracts/clients.ts'
export type { Clock } from './contracts/clock.ts'
export { type Codec, contentText, encodeBatch, encodeContent, encodeEach } from './contracts/codec.ts'
export type { DeadLetters, PartContext, Shared } from './contracts/context.ts'
export type { DeadLetterCounters, EndpointCounters, Observed, ObservedEndpoint } from './contracts/counters.ts'
export type { Dataflow, Failures } from './contracts/dataflow.ts'
export {
  type AfterInner,
  type CheckContext,
  defineFormat,
  defineFraming,
  defineSink,
  defineStep,
  defineSubscription,
  type FormatDefinition,
  type FormatExample,
  type FramingDefinition,
  type FramingExample,
  type OptionProblem,
  type PartDefinition,
  type PartFile,
  type SinkDefinition,
  type SinkExample,
  type StepDefinition,
  type StepExample,
  type SubscriptionDefinition,
  type SubscriptionExample,
} from './contracts/define.ts'
export {
  type CloseReason,
  closeReasons,
  type FailureCode,
  failures,
  SluiceError,
  type SluiceErrorOptions,
  toSluiceError,
} from './contracts/errors.ts'
export type { EventMap, EventName, Events, LogLevel, ReloadReport } from './contracts/events.ts'
export type { Format, FormatContext } from './contracts/format.ts'
export { type Decoder, Found, Frames, type Framing, NEED_MORE } from './contracts/framing.ts'
export { type ErrorInfo, Message, type MessageEvent, type MessageExtras, type Source } from './contracts/message.ts'
export {
  bytes,
  bytesTemplate,
  condition,
  dataflow,
  duration,
  type Expression,
  endpointName,
  expr,
  formatOption,
  framingOption,
  host,
  type PathTemplate,
  pathTemplate,
  secret,
  size,
  type Template,
  template,
  type UserFunction,
  z,
} from './contracts/schema.ts'
export type { Confirmation, Outcomes, Sink } from './contracts/sink.ts'
export type { Step, StepResult } from './contracts/step.ts'
export type { Database, SqlRow, SqlValue, Storage } from './contracts/storage.ts'
export type { Delivery, Guarantee, Receiver, Subscription } from './contracts/subscription.ts'
export type {
  Listener,
  Socket,
  SocketHandler,
  SocketOptions,
  TlsLayer,
  Transport,
} from './contracts/transport.ts'
export { type Limits, limitOptions, withLimits } from './framings/limits.ts'
export {
  type FormatRef,
  type FramingRef,
  format,
  framing,
  part,
  type SinkRef,
  type StepRef,
  type SubscriptionRef,
  sink,
  type ValueOf,
} from './library/builders.ts'
export type { ClientOptions, IdOf } from './library/client-options.ts'
export {
  type Config,
  type ConnectEntry,
  defineConfig,
  type ListenEntry,
  type ScheduleEntry,
  type StepEntry,
  type StepFunction,
  type Steps,
  type SubscribeEntry,
} from './library/config.ts'
export { type ConnectOptions, connect } from './library/connect.ts'
export { createPool, type PoolOptions } from './library/create-pool.ts'
export { createServer, type Server, type ServerOptions } from './library/create-server.ts'
export { type DialOptions, dial, type ListenOptions, listen } from './library/endpoint.ts'
export {
  type Content,
  createFlow,
  type Flow,
  type MessageFunction,
  type RouteCase,
  type SendTo,
  type StepOptions,
} from './library/flow.ts'
export { createRegistry } from './registry/builtins.ts'
export { Registry } from './registry/registry.ts'
export { ByteWriter } from './util/byte-writer.ts'
export type { ConnectionEventMap } from './wire/client-events.ts'
export type { Connection } from './wire/connection.ts'
export type { Duration, Link, RequestId, RequestOptions, WaitOptions } from './wire/link.ts'
export type { Pool } from './wire/pool.ts'
