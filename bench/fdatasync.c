// fdatasync - what one write and sync of 4 KiB takes on a disk. Usage: fdatasync FILE SECONDS
// The file has its size already, as the log of a database has when it is used again, so no metadata need be written.
// Prints the median and the 99th percentile in milliseconds as JSON.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 1024, MOST = 1 << 20 };

static double times[MOST];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void die(const char *what) {
  perror(what);
  exit(2);
}

int main(int argc, char **argv) {
  if (argc != 3) return fputs("usage: fdatasync FILE SECONDS\n", stderr), 2;
  int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600), count = 0;
  if (fd < 0) die("open");
  char block[BLOCK];
  memset(block, 'x', sizeof block);
  for (int i = 0; i < BLOCKS; i++)
    if (write(fd, block, BLOCK) != BLOCK) die("write");
  if (fsync(fd) < 0) die("fsync");
  for (double end = now() + atof(argv[2]) * 1e3; now() < end && count < MOST; count++) {
    double before = now();
    block[count % BLOCK]++;
    if (pwrite(fd, block, BLOCK, (off_t)(count % BLOCKS) * BLOCK) != BLOCK) die("pwrite");
    if (fdatasync(fd) < 0) die("fdatasync");
    times[count] = now() - before;
  }
  qsort(times, (size_t)count, sizeof *times, by_value);
  printf("{\"count\":%d,\"median\":%.3f,\"p99\":%.3f}\n", count, times[count / 2], times[count * 99 / 100]);
  return unlink(argv[1]);
}
