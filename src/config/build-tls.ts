import type { TlsLayer } from '../contracts/transport.ts'
import { createClientTls } from '../transports/tls.ts'
import { placed } from './placed.ts'
import type { ConnectPlan, SocketPlan } from './planned.ts'

/** Gives each of what is dialled the TLS for its name. Those that are known by their address alone share one. */
export async function secured<Target extends { readonly servername: string | undefined }>(
  plan: SocketPlan,
  tls: ConnectPlan['tls'],
  targets: readonly Target[],
): Promise<(Omit<Target, 'servername'> & { readonly tls: TlsLayer | undefined })[]> {
  const layers = new Map<string | undefined, TlsLayer>()
  const all: (Omit<Target, 'servername'> & { readonly tls: TlsLayer | undefined })[] = []
  for (const { servername, ...target } of targets) {
    const options = tls && { ...tls, ...(servername !== undefined && { servername }) }
    const layer = options && (layers.get(servername) ?? (await placed(plan, 'tls', () => createClientTls(options))))
    if (layer !== undefined) layers.set(servername, layer)
    all.push({ ...target, tls: layer })
  }
  return all
}
