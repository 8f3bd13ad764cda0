#!/bin/sh
# Workloads of other people's programs in a Debian guest: `workload NAME`. The lines `NAME: begin` and `NAME: end` stand around the
# work; each fails, and prints no end, when one of its programs does.
set -e
cd /tmp
mark() { echo "$name: $1"; }

# What was printed before has left the machine when the work begins.
begin() { sleep 0.3; mark begin; }

compile() { # gcc: the benchmark programs' own sources, optimised, as objects
  begin
  for source in /usr/src/loop.c /usr/src/sort.c /usr/src/vm.c /usr/src/float.c /usr/src/fft.c; do
    gcc -O2 -c -o object.o "$source"
    gcc -O2 -S -o assembly.s "$source"
  done
}

redis() { # requests over the guest's own loopback, 20 clients
  redis-server --save '' --appendonly no --dir /tmp --daemonize yes >/dev/null
  until redis-cli ping >/dev/null 2>&1; do sleep 0.1; done
  begin
  redis-benchmark -q -c 20 -n 6000 -t set,get,incr,lpush >/dev/null
}

sqlite() { # inserts into a file on /dev/vda: a transaction, and so a flush of the disk, for every ten
  mkdir -p /mnt/disk
  mount -t ext4 /dev/vda /mnt/disk
  begin
  {
    echo 'create table t(n integer primary key, text text);'
    transaction=0
    while [ $transaction -lt 150 ]; do
      echo 'begin;'
      for row in 1 2 3 4 5 6 7 8 9 10; do echo "insert into t(text) values (hex(zeroblob(40)) || $row);"; done
      echo 'commit;'
      transaction=$((transaction + 1))
    done
    echo 'select count(*) from t;'
  } | sqlite3 /mnt/disk/t.db | grep -qx 1500
  mark end
  umount /mnt/disk
  exit 0
}

python() { # an interpreter: dictionaries, strings, big numbers
  begin
  python3 - <<'PROGRAM'
words = {}
for n in range(120000):
    word = str(n * n % 9973)
    words[word] = words.get(word, 0) + len(word)
a, b = 0, 1
for _ in range(6000):
    a, b = b, a + b
assert len(words) == 4987 and len(str(a)) == 1254
PROGRAM
}

dirty() { # a guest that writes a quarter of its memory again and again, for whoever joins it meanwhile
  begin
  for round in $(seq 60); do dd if=/dev/zero of=/tmp/dirty bs=1M count=64 conv=notrunc 2>/dev/null; done
}

name=$1
"$name"
mark end
