// The mode `ask` of tcpload.c, which includes this file: each line is answered with one. It uses what stands above it there.
// What a connection sends for each line, how much of an answer's line has come, and whether it counts.
typedef struct { char *text; size_t size, at; bool counts; uint64_t answers; double due; } Asking;

static void prepare_ask(Conn *c, Asking *a, int i) {
  char head[128] = "", hello[256];
  if (o.nats) {
    int n = snprintf(hello, sizeof hello, "CONNECT {\"verbose\":false}\r\nSUB _INBOX.bench%d 1\r\n", i);
    if (send(c->fd, hello, (size_t)n, MSG_NOSIGNAL) != n) die("hello");
    snprintf(head, sizeof head, "PUB %s _INBOX.bench%d %zu\r\n", o.nats, i, o.size - 1);
  }
  size_t at = strlen(head);
  a->text = malloc(at + o.size + 2);
  memcpy(a->text, head, at);
  for (size_t k = 0; k < o.size - 1; k++) a->text[at++] = (char)('a' + (k + (size_t)i) % 26);
  if (o.nats) a->text[at++] = '\r';
  a->text[at++] = '\n', a->size = at;
}

static double late;  // nanoseconds by which lines were sent later than they were due, over all lines

// Sends what is due and has room in the window. False when the connection is broken.
static bool ask(Conn *c, Asking *a, uint64_t t0) {
  uint64_t p = (uint64_t)o.pipeline, t = now();
  double every = o.pace > 0 ? 1e9 * o.conns / o.pace : 0;
  while (!stopping && c->issued < a->answers + p && (!every || (double)t0 + a->due <= (double)t)) {
    c->stamp[c->issued++ % p] = every ? t0 + (uint64_t)a->due : t;
    if (every) late += (double)t - (double)t0 - a->due;
    a->due += every;
  }
  static char batch[1 << 18];
  size_t n = 0;
  for (uint64_t from = c->sent; from < c->issued * a->size && n < sizeof batch;) {
    size_t skip = from % a->size, k = a->size - skip;
    if (k > sizeof batch - n) k = sizeof batch - n;
    memcpy(batch + n, a->text + skip, k), n += k, from += k;
  }
  ssize_t w = n ? send(c->fd, batch, n, MSG_NOSIGNAL) : 0;
  if (w < 0 && errno != EAGAIN) return false;
  if (w > 0) c->sent += (uint64_t)w;
  bool blocked = c->sent < c->issued * a->size;
  if (blocked != c->sending) watch(c, EPOLL_CTL_MOD, EPOLLIN | (blocked ? EPOLLOUT : 0)), c->sending = blocked;
  return true;
}

static int run_ask(void) {
  uint64_t p = (uint64_t)o.pipeline, counted = 0, total = 0, lost = 0, strange = 0;
  if (o.secs <= 0) o.secs = 5;
  Conn *all = dial_all(false);
  Asking *asking = calloc((size_t)o.conns, sizeof *asking);
  struct epoll_event ev[256];
  int open = o.conns, failed = 0;
  uint64_t t0 = now(), from = t0 + ns(o.warmup), stop = from + ns(o.secs), give_up = stop + ns(o.drain);
  for (int i = 0; i < o.conns; i++) {
    all[i].stamp = calloc(p, sizeof(uint64_t));
    if (o.pace > 0) asking[i].due = 1e9 * i / o.pace;
    prepare_ask(&all[i], &asking[i], i), watch(&all[i], EPOLL_CTL_ADD, EPOLLIN);
  }
  for (uint64_t swept = 0; open > 0 && now() < give_up;) {
    uint64_t t = now();
    stopping = t >= stop;
    if (!swept || stopping || (o.pace > 0 && t >= swept + 200000))
      for (int i = (swept = t, 0); i < o.conns; i++) {
        Conn *c = &all[i];
        if (c->fd < 0) continue;
        if (!ask(c, &asking[i], t0)) drop(c, true), open--;
        else if (stopping && asking[i].answers == c->issued) drop(c, false), open--;
      }
    int n = epoll_wait(ep, ev, 256, o.pace > 0 ? 1 : 10);
    for (int i = 0; i < n; i++) {
      Conn *c = ev[i].data.ptr;
      Asking *a = &asking[c - all];
      if (c->fd < 0) continue;
      ssize_t r = recv(c->fd, rx, sizeof rx, 0);
      t = now();
      if (r == 0 || (r < 0 && errno != EAGAIN)) { drop(c, true), open--; continue; }
      for (ssize_t k = 0; k < r; k++, a->at++) {
        // Of what NATS says only the acknowledgement counts, which is an object whose first key is "stream".
        if (!o.nats || a->at == 2) a->counts = !o.nats || rx[k] == 's';
        if (rx[k] != '\n') continue;
        if (a->counts && a->answers == c->issued) strange++;
        else if (a->counts) {
          uint64_t sent_at = c->stamp[a->answers++ % p];
          if (t >= from && t < stop) counted++;
          if (sent_at >= from && sent_at < stop) hist_add(t - sent_at);
        }
        a->at = (size_t)-1, a->counts = false;
      }
      if (!ask(c, a, t0)) drop(c, true), open--;
    }
  }
  for (int i = 0; i < o.conns; i++)
    failed += all[i].failed, total += asking[i].answers, lost += all[i].issued - asking[i].answers;
  put("mode", "ask"), put("conns", "%d", o.conns), put("pipeline", "%d", o.pipeline), put("size", "%zu", o.size);
  put("answers", "%lu", counted), put("total", "%lu", total), put("answers_s", "%.0f", (double)counted / o.secs), put_latency();
  put("late_us", "%.1f", total ? late / (double)total / 1e3 : 0);
  put("lost", "%lu", lost), put("strange", "%lu", strange), put("failed", "%d", failed), put_end();
  return lost || strange || failed;
}
