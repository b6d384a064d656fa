import { readFileSync } from 'node:fs'
import type { CheckContext, OptionProblem } from '../contracts/define.ts'
import { duration, secret, z } from '../contracts/schema.ts'
import { checkFile, checkTls, readTls, type TlsOption, tlsOption } from './client-tls.ts'
import type { NatsTarget } from './nats-connect.ts'
import { parseServer } from './nats-greeting.ts'

const server = z
  .string()
  .regex(/^[^@]*$/, 'a server has no user and password in it: give them as user and password')
  .regex(/^(?!wss?:)/, 'WebSockets are not supported: give host:port')
  .refine((text) => parseServer(text) !== undefined, 'expected host:port')

/** The options with which a part says how it connects to NATS. */
export const natsConnection = {
  servers: z
    .union([server, z.array(server).min(1)])
    .describe('Address of a server, `host:port`, or a list of those of one cluster. The default port is 4222.'),
  user: z.string().min(1).optional().describe('Name of the user.'),
  password: secret().optional().describe('Password of the user.'),
  token: secret().optional().describe('Token, instead of user and password.'),
  creds: z
    .string()
    .min(1)
    .optional()
    .describe("Credentials file (JWT and seed), instead. A relative path starts at the configuration's folder."),
  tls: tlsOption,
  timeout: duration()
    .prefault('10s')
    .describe('How long a connection, or the next acknowledgement, may take. Default: 10s.'),
}

interface NatsConnectionOptions {
  readonly servers: string | readonly string[]
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly token?: string | undefined
  readonly creds?: string | undefined
  readonly tls: TlsOption
  readonly timeout: number
}

/** Reads the files that the options name. @throws what `node:fs` throws; {@link checkNatsFiles} has said it better before */
export function readNatsTarget(
  { servers, user, password, token, creds, tls, timeout }: NatsConnectionOptions,
  { resolvePath }: CheckContext,
): NatsTarget {
  return {
    servers: typeof servers === 'string' ? [servers] : servers,
    user,
    password,
    token,
    creds: creds === undefined ? undefined : readFileSync(resolvePath(creds)),
    tls: readTls(tls, resolvePath),
    timeout,
  }
}

/** Reports files that cannot be read. */
export function checkNatsFiles(
  { creds, tls }: Pick<NatsConnectionOptions, 'creds' | 'tls'>,
  context: CheckContext,
): readonly OptionProblem[] {
  return [...(creds === undefined ? [] : checkFile(creds, ['creds'], context)), ...checkTls(tls, context)]
}

/** Reports several ways to log in, and half a one. */
export function requireOneIdentity(given: Partial<Record<string, unknown>>, context: z.core.$RefinementCtx): void {
  const { user, password, token, creds } = given
  const kinds = [user ?? password, token, creds].filter((value) => value !== undefined)
  if (kinds.length > 1) context.addIssue({ code: 'custom', message: 'give user and password, or token, or creds' })
  if (user === undefined && password !== undefined) {
    context.addIssue({ code: 'custom', message: 'user is missing', path: ['user'] })
  }
}
