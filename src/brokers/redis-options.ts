import type { CheckContext } from '../contracts/define.ts'
import { duration, host, secret, z } from '../contracts/schema.ts'
import { readTls, tlsOption } from './client-tls.ts'
import type { RedisTarget } from './redis-link.ts'

/** The options with which a part says how it connects to Redis. */
export const redisConnection = {
  host: host().prefault('localhost').describe('Name or address of the server. Default: localhost.'),
  port: z.int().min(1).max(65_535).default(6379).describe('Port of the server. Default: 6379.'),
  socket: z
    .string()
    .min(1)
    .optional()
    .describe("Path of a Unix socket, instead of host and port. A relative path starts at the configuration's folder."),
  user: z.string().min(1).optional().describe('Name of the user. Default: that of the server.'),
  password: secret().optional().describe('Password of the user.'),
  database: z.int().min(0).default(0).describe('Number of the database. Default: 0.'),
  tls: tlsOption,
  timeout: duration()
    .prefault('10s')
    .describe('How long a connection, or the replies to a write, may take. Default: 10s.'),
}

const shape = z.strictObject(redisConnection)

/** Reads the files that the options name. @throws what `node:fs` throws; `checkTls` has said it in better words before */
export function readRedisTarget(
  given: z.output<typeof shape>,
  { resolvePath }: CheckContext,
): Omit<RedisTarget, 'fsync'> {
  const { host, port, user, password, database, timeout } = given
  const socket = given.socket === undefined ? undefined : resolvePath(given.socket)
  return { host, port, socket, user, password, database, tls: readTls(given.tls, resolvePath), timeout }
}

/** Reports half a login. */
export function requirePassword(given: Partial<Record<string, unknown>>, context: z.core.$RefinementCtx): void {
  if (given['user'] === undefined || given['password'] !== undefined) return
  context.addIssue({ code: 'custom', message: 'password is missing', path: ['password'] })
}
