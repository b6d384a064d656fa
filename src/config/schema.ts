import { duration, host, size, withoutProto, z } from '../contracts/schema.ts'
import { connectSchema, listenSchema } from './schema-endpoints.ts'
import { entryName, port, RELATIVE } from './schema-options.ts'
import { scheduleSchema } from './schema-sources.ts'

/**
 * The top level of a configuration, described once. Validation, the JSON Schema for editors and the reference page are
 * made from it. What stands inside a step or a sink is described by the part itself.
 */

const endpointName = entryName()
  .describe('Name of the endpoint, as logs, metrics and client.endpoint show it.')
  .meta({ entry: 'endpoint' })

/** A whole configuration. */
export const configSchema = z.strictObject({
  version: z.literal(1).optional().describe('Version of this shape: 1.'),
  listen: withoutProto(z.record(endpointName, listenSchema)).optional().describe('Endpoints that accept connections.'),
  connect: withoutProto(z.record(endpointName, connectSchema))
    .optional()
    .describe('Endpoints that connect to a device and stay connected.'),
  subscribe: withoutProto(
    z.record(
      endpointName,
      z.record(z.string(), z.unknown(), 'expected a mapping, such as { nats: { … }, dataflow: [ … ] }').meta({
        marker: 'subscription',
      }),
    ),
  )
    .optional()
    .describe('Endpoints whose messages a broker gives.'),
  schedule: withoutProto(z.record(endpointName, scheduleSchema))
    .optional()
    .describe('Dataflows that run by the clock.'),
  defaults: z
    .strictObject({
      listen: z.record(z.string(), z.unknown()).optional().describe('Options of each entry of listen.'),
      connect: z.record(z.string(), z.unknown()).optional().describe('Options of each entry of connect.'),
    })
    .optional()
    .describe('What entries have that do not say otherwise: mappings are joined, everything else is replaced.'),
  include: z
    .union([z.string().min(1), z.array(z.string().min(1))])
    .optional()
    .describe(
      'Other files of this configuration: names or patterns such as conf.d/*.yaml. Their paths begin here too.',
    ),
  dataflows: withoutProto(z.record(entryName(), z.array(z.unknown()).meta({ marker: 'steps' })))
    .optional()
    .describe('Dataflows that several endpoints use by name.'),
  data: z
    .strictObject({
      dir: z.string().min(1).prefault('./sluice-data').describe(`Folder for what must outlive a restart. ${RELATIVE}`),
      deadLetters: z
        .strictObject({
          maxSize: size()
            .prefault('1GiB')
            .describe('Most bytes of dead letters. Above that what fails waits, and with it its sender.'),
          maxAge: duration({ off: true, age: true }).prefault('30d').describe('Age at which a dead letter is removed.'),
        })
        .prefault({})
        .describe('Bounds of the dead letters.'),
    })
    .prefault({})
    .describe('What is kept on disk.'),
  admin: z
    .union([
      port(),
      z.strictObject({
        host: host().prefault('127.0.0.1').describe('Address to listen on.'),
        port: port().describe('TCP port.'),
      }),
    ])
    .optional()
    .describe(
      'Health and metrics over HTTP: a port, or { host, port }. There are /metrics, /health/live and /health/ready.',
    ),
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error'])
        .prefault('info')
        .describe('Least important lines that are written.'),
      format: z.enum(['text', 'json']).optional().describe('Default: text on a terminal, else json.'),
    })
    .prefault({})
    .describe('What is logged.'),
  workers: z
    .int()
    .min(1)
    .max(64)
    .prefault(1)
    .describe('Processes that share the connections: as many as there are cores to spare for them. Default: 1.'),
  balance: z
    .enum(['fewest', 'reusePort'])
    .prefault('fewest')
    .describe(
      'Which of several workers gets a connection: the one with the fewest of its endpoint, or with reusePort the one ' +
        'that the kernel chooses; connections that it has not accepted are then lost when it dies.',
    ),
})

export type ConfigOutput = z.output<typeof configSchema>
