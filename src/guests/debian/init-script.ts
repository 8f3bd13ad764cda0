// The guest's /init: the first user process, a busybox shell script. It brings up what the machine offers, then either runs the
// command given on the kernel's command line or offers a shell on the console, and powers off when that ends.
//
// Kernel command line:
//   ftvm.run="COMMAND"                          run COMMAND with sh instead of a shell; no double quotes inside
//   ip=ADDRESS::GATEWAY:NETMASK:HOST:DEVICE     set up the network, as the kernel's own option of that name does
//   ftvm.modules=off                            load no modules at all
// With a disk, ext4 is loaded; nothing is mounted: that is the user's, who may want to format it first.

/** The first line that a user process prints: "power-on to first user process" is measured by it. */
export const FIRST_PROCESS_MARKER = 'ftvm: first user process';
/** Printed when the shell is ready. */
export const READY_MARKER = 'ftvm: ready';
/** Printed, with the exit status, when the command of `ftvm.run` has ended. */
export const COMMAND_ENDED_MARKER = 'ftvm: command ended with status';

/** Modules for every virtio device: without them the kernel does not look at the machine's slots. */
export const BUS_MODULES = ['virtio_mmio'] as const;
/** Modules by virtio device number (virtio 1.2, section 5), each after what it needs: the kernel package ships no modules.dep. */
export const DEVICE_MODULES = {
  '0x0001': ['failover', 'net_failover', 'virtio_net'],
  '0x0002': ['virtio_blk', 'crc16', 'crc32c_generic', 'libcrc32c', 'mbcache', 'jbd2', 'ext4'],
  '0x0004': ['virtio-rng'],
} as const;

export const ALL_MODULES: readonly string[] = [...BUS_MODULES, ...Object.values(DEVICE_MODULES).flat()];

export function initScript(): string {
  const cases = Object.entries(DEVICE_MODULES).map(([id, modules]) => `    ${id}) load ${modules.join(' ')} ;;`);
  return `#!/usr/bin/busybox sh
echo '${FIRST_PROCESS_MARKER}'
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root
bb=/usr/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
$bb mkdir -p /dev/pts /dev/shm
$bb mount -t devpts devpts /dev/pts
$bb mount -t tmpfs tmpfs /dev/shm
$bb mount -t tmpfs -o mode=755 tmpfs /run
read -r command_line < /proc/cmdline

option() { # option NAME: sets value to what NAME= has on the kernel's command line
  value=
  case " $command_line" in
    *" $1=\\""*) value=\${command_line#*"$1=\\""}; value=\${value%%\\"*} ;;
    *" \\"$1="*) value=\${command_line#*"\\"$1="}; value=\${value%%\\"*} ;;
    *" $1="*) value=" $command_line"; value=\${value#*" $1="}; value=\${value%% *} ;;
  esac
}

loaded=' '
load() { # a module that is loaded already is passed over; two disks need one driver
  for module; do
    case "$loaded" in *" $module "*) continue ;; esac
    loaded="$loaded$module "
    $bb insmod /usr/lib/modules/$module.ko || echo "ftvm: module $module does not load"
  done
}

option ftvm.modules
if [ "$value" != off ]; then
  load ${BUS_MODULES.join(' ')}
  for device in /sys/bus/virtio/devices/*/device; do
    [ -e "$device" ] || continue
    read -r id < "$device"
    case "$id" in
${cases.join('\n')}
    esac
  done
fi

$bb ip link set lo up
option ip
if [ -n "$value" ]; then
  IFS=: read -r address _ gateway netmask name interface _ <<END
$value
END
  interface=\${interface:-eth0}
  $bb ifconfig "$interface" "$address" netmask "\${netmask:-255.255.255.0}" up
  [ -z "$gateway" ] || $bb route add default gw "$gateway"
  [ -z "$name" ] || $bb hostname "$name"
fi

$bb --install -s
export TERM=\${TERM:-linux} PS1='\\u@\\h:\\w\\$ '
[ -n "$name" ] || $bb hostname debian
cd /root

option ftvm.run
if [ -n "$value" ]; then
  sh -c "$value"
  echo "${COMMAND_ENDED_MARKER} $?"
else
  echo '${READY_MARKER}'
  setsid cttyhack sh -i
fi
sync
poweroff -f
`;
}
