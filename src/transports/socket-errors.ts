import { existsSync, lstatSync } from 'node:fs'
import { dirname } from 'node:path'
import { formatAddress } from '../contracts/client.ts'
import { type FailureCode, SluiceError } from '../contracts/errors.ts'
import type { DialOptions, ListenOptions } from '../contracts/transport.ts'

/** Why an address could not be listened on, with what to do about it. */
export function listenError(error: unknown, options: ListenOptions): SluiceError {
  const where = options.path ?? `port ${options.port ?? 0}`
  const make = (code: FailureCode, message: string, hint: string) =>
    new SluiceError(code, message, { cause: error, hint })
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      if (options.path !== undefined && isNoSocket(options.path)) {
        return make('address_in_use', `${where} exists and is no socket`, 'Move it away or choose another path.')
      }
      return make(
        'address_in_use',
        `something else listens on ${where}`,
        options.path === undefined
          ? 'Stop it (`ss -ltnp` shows what it is) or choose another port.'
          : 'Stop it or choose another path.',
      )
    case 'EACCES':
    case 'EPERM':
      if (options.path === undefined) {
        return make(
          'permission_denied',
          `${where} needs a permission that this program does not have`,
          'Use a port above 1023 or give the program the capability CAP_NET_BIND_SERVICE.',
        )
      }
      // Node says EACCES for a missing folder too.
      return existsSync(dirname(options.path))
        ? make(
            'permission_denied',
            `${where} cannot be created`,
            'Choose a folder in which this user may create files.',
          )
        : make('address_unavailable', `${where} cannot be created: its folder does not exist`, 'Create the folder.')
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
      return make(
        'address_unavailable',
        `this machine has no address ${options.host ?? '::'}`,
        'Leave host out to listen on all addresses, or use one that `ip address` shows.',
      )
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return make(
        'host_unknown',
        `the host name ${options.host} cannot be resolved`,
        'Use an IP address of this machine.',
      )
    case 'ENAMETOOLONG':
    case 'EINVAL':
      return make(
        'address_unavailable',
        `${where} cannot be listened on`,
        options.path === undefined
          ? 'Check host and port.'
          : 'The path of a Unix socket may have at most 107 bytes; choose a shorter one.',
      )
    default:
      return make('address_unavailable', `${where} cannot be listened on: ${messageOf(error)}`, 'Check host and port.')
  }
}

function isNoSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false
}

/** Why a dialled address could not be reached. Time may cure all but a missing permission. */
export function dialError(error: unknown, options: DialOptions): SluiceError {
  const where = target(options)
  const make = (code: FailureCode, message: string, hint?: string) =>
    new SluiceError(code, message, { cause: error, retryable: code !== 'permission_denied', ...(hint && { hint }) })
  switch (codeOf(error)) {
    case 'ECONNREFUSED':
      return make('connection_refused', `nothing listens on ${where} (connection refused)`, NOBODY)
    case 'ENOENT':
    case 'ENOTSOCK':
      return make('connection_refused', `nothing listens on ${where} (no such socket)`, NOBODY)
    case 'ECONNRESET':
    case 'EPIPE':
      return make('connection_reset', `${where} reset the connection`)
    case 'ETIMEDOUT':
      return timeoutError(options, error)
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EHOSTDOWN':
    case 'ENETDOWN':
      return make('connection_timeout', `there is no way to ${where} (no route)`, 'Check cable, network and address.')
    case 'ENOTFOUND':
      return make('host_unknown', `the host name ${options.host} cannot be resolved`, 'Check its spelling and the DNS.')
    case 'EAI_AGAIN':
      return make('host_unknown', `the host name ${options.host} cannot be resolved now`, 'No DNS server answers.')
    case 'EACCES':
    case 'EPERM':
      return make('permission_denied', `the operating system does not allow to connect to ${where}`)
    default:
      return make('connection_refused', `${where} cannot be reached: ${messageOf(error)}`)
  }
}

/** No answer within `options.timeout`, or within the operating system's own limit. */
export function timeoutError(options: DialOptions, cause?: unknown): SluiceError {
  const message =
    cause === undefined
      ? `${target(options)} did not answer within ${options.timeout} ms`
      : `${target(options)} did not answer`
  return new SluiceError('connection_timeout', message, { cause, retryable: true })
}

const NOBODY = 'Check the address, and that the program or device there is running.'

function target({ host = 'localhost', port = 0, path }: DialOptions): string {
  return path ?? formatAddress({ ip: host, port })
}

/** Several addresses of one name fail together; the last attempt stands for all, as its code does in Node. */
function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError) return codeOf(error.errors.at(-1))
  return (error as NodeJS.ErrnoException | undefined)?.code
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
