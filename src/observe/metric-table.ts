/**
 * Every metric, by name: the one list that `/metrics` and the reference page are made from. Names and labels are stable
 * under semantic versioning. Values of the label `reason` are the codes of `contracts/errors.ts`.
 */
export const metricTable = {
  sluice_connections: gauge(
    ['endpoint'],
    'Clients connected now; of a subscription 1 while its broker gives it messages.',
  ),
  sluice_device_connected: gauge(['endpoint', 'device'], 'Of each device of hosts: 1 while it is connected, else 0.'),
  sluice_upstream_up: gauge(
    ['endpoint', 'upstream'],
    'Of each server behind a relay: 0 from a failure to the next success, else 1. Of several workers, the lowest.',
    'min',
  ),
  sluice_answers_compared_total: counter(
    ['endpoint', 'result'],
    'Answers that a relay has compared: two that are equal or different, one that was unmatched; dropped were not recorded.',
  ),
  sluice_connections_opened_total: counter(['endpoint'], 'Connections that became clients.'),
  sluice_connections_closed_total: counter(['endpoint', 'reason'], 'Clients whose connection has ended.'),
  sluice_connections_refused_total: counter(
    ['endpoint', 'reason'],
    'Connections that were closed before they became clients.',
  ),
  sluice_bytes_received_total: counter(['endpoint'], 'Bytes read, inside TLS.'),
  sluice_bytes_sent_total: counter(['endpoint'], 'Bytes written, inside TLS.'),
  sluice_messages_received_total: counter(['endpoint'], 'Frames that became messages.'),
  sluice_messages_sent_total: counter(['endpoint'], 'Answers and sends that were queued at a connection.'),
  sluice_messages_dropped_total: counter(['endpoint'], 'Messages that a step ended on purpose, such as filter.'),
  sluice_messages_failed_total: counter(['endpoint', 'reason'], 'Messages that failed in a step.'),
  sluice_frames_rejected_total: counter(
    ['endpoint', 'reason'],
    'Frames that framing or format refused, dropped or cut.',
  ),
  sluice_dead_letters_total: counter(['endpoint', 'reason'], 'Messages and frames kept as dead letters.'),
  sluice_dead_letters_lost_total: counter(
    ['endpoint', 'reason'],
    'Messages that could not even be kept as dead letters.',
  ),
  sluice_dead_letter_store_messages: gauge([], 'Dead letters that are kept.', 'max'),
  sluice_dead_letter_store_bytes: gauge([], 'Bytes of the dead letters that are kept.', 'max'),
  sluice_dead_letter_store_oldest_seconds: gauge([], 'Age of the oldest dead letter that is kept.', 'max'),
  sluice_dead_letter_store_expired_total: counter([], 'Dead letters removed because of their age.'),
  sluice_missing_values_total: counter(['endpoint'], 'Tests in conditions that were false because a key was missing.'),
  sluice_missing_keys_total: counter(
    ['endpoint'],
    "Messages for which the endpoint's key: gave nothing, so that they are new whenever they are sent.",
  ),
  sluice_sends_skipped_total: counter(
    ['endpoint'],
    'Sends that a client did not get because more than limits.maxQueued waited for it.',
  ),
  sluice_reads_paused_total: counter(
    ['endpoint'],
    'How often a sender was held back because limits.maxQueued was reached.',
  ),
  sluice_replies_lost_total: counter(
    ['endpoint'],
    'Answers that could not be sent: their connection had closed, or the run of their message had ended.',
  ),
  sluice_queued_bytes: gauge(['endpoint'], 'Bytes in memory: read and not yet run, and answers not yet sent.'),
  sluice_dials_failed_total: counter(
    ['endpoint', 'reason'],
    'Attempts of a connect: endpoint or a relay to connect that failed.',
  ),
  sluice_subscriptions_failed_total: counter(
    ['endpoint', 'reason'],
    'How often a broker could not be reached, refused a subscription or ended it.',
  ),
  sluice_schedule_runs_skipped_total: counter(
    ['endpoint'],
    'Runs of a schedule that were skipped, because the last one had not ended.',
  ),
  sluice_polls_timed_out_total: counter(['endpoint'], 'Polls that were not answered in time.'),
  sluice_sink_retries_total: counter(['step', 'reason'], 'Deliveries that failed for now and were tried again.'),
  sluice_sink_delivered_late_total: counter(
    ['step'],
    'Messages that were delivered after the timeout of their step, and have failed all the same.',
  ),
  sluice_buffer_messages: gauge(
    ['step', 'endpoint'],
    'Messages that wait in the buffer of a sink. A shared dataflow has one, under all its endpoints (`a,b`).',
  ),
  sluice_buffer_bytes: gauge(['step', 'endpoint'], 'Bytes that wait in the buffer of a sink.'),
  sluice_buffer_oldest_seconds: gauge(
    ['step', 'endpoint'],
    'Age of the oldest message in the buffer of a sink.',
    'max',
  ),
  sluice_buffer_stored_total: counter(['step', 'endpoint'], 'Messages that the buffer of a sink has taken.'),
  sluice_buffer_delivered_total: counter(['step', 'endpoint'], 'Messages delivered from the buffer of a sink.'),
  sluice_buffer_failed_total: counter(['step', 'endpoint'], 'Messages in the buffer of a sink that were given up.'),
  sluice_buffer_dropped_total: counter(['step', 'endpoint'], 'Messages dropped because the buffer of a sink was full.'),
  sluice_event_loop_delay_seconds: gauge(
    ['quantile'],
    'How long the event loop was busy with one thing, since the last scrape; quantile 1 is the longest.',
    'max',
  ),
  sluice_workers: gauge([], 'Workers that take connections now. Only with several workers.'),
  sluice_worker_restarts_total: counter(['worker'], 'How often a worker has ended and was started again.'),
  process_open_fds: gauge(
    [],
    'Open files, connections included; 0 where this is not known. Of several processes, the highest.',
    'max',
  ),
  process_max_fds: gauge([], 'How many files may be open; connections above it are closed in silence.', 'min'),
  process_cpu_seconds_total: counter([], 'CPU time used, in user and system mode.'),
  process_resident_memory_bytes: gauge([], 'Memory in use.'),
  process_start_time_seconds: gauge([], 'When the process was started; seconds since 1970.', 'min'),
} as const satisfies Record<string, MetricDescription>

export type MetricName = keyof typeof metricTable

export interface MetricDescription {
  readonly type: 'counter' | 'gauge'
  readonly labels: readonly string[]
  /** One sentence. */
  readonly help: string
  /** What several workers have of it together. */
  readonly together: Together
}

type Together = 'sum' | 'max' | 'min'

function counter<const Labels extends readonly string[]>(labels: Labels, help: string) {
  return { type: 'counter', labels, help, together: 'sum' } as const
}

function gauge<const Labels extends readonly string[]>(labels: Labels, help: string, together: Together = 'sum') {
  return { type: 'gauge', labels, help, together } as const
}
