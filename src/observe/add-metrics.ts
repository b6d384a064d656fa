import { AggregatorRegistry } from 'prom-client'
import type { MetricValues } from './metrics.ts'

/** What the processes of a server have measured, as one: sums, or what `together` of the metric says. */
export async function addMetrics(parts: readonly MetricValues[]): Promise<MetricValues> {
  return await together(parts).getMetricsAsJSON()
}

/** The same in Prometheus' text format. */
export function addMetricsAsText(parts: readonly MetricValues[]): Promise<string> {
  return together(parts).metrics()
}

/** What only grows: it still counts when the process that has counted it is gone. */
export function countersOf(values: MetricValues): MetricValues {
  // The type of the library has an enum of numbers where there are texts.
  return values.filter(({ type }) => String(type) === 'counter')
}

function together(parts: readonly MetricValues[]) {
  return AggregatorRegistry.aggregate(parts.map((values) => [...values]))
}
