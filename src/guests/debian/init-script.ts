// The guest's /init: the first user process, a busybox shell script. It brings up what the machine offers, then either runs the
// command given on the kernel's command line or offers a shell on the console, and powers off when that ends.
//
// Kernel command line:
//   ftvm.run="COMMAND"                          run COMMAND with sh instead of a shell; no double quotes inside
//   ip=ADDRESS::GATEWAY:NETMASK:HOST:DEVICE     set up the network, as the kernel's own option of that name does
// A disk is /dev/vda; nothing is mounted, and ext4 is loaded by the first mount.

import {BUS_MODULE} from './kernel-modules.ts';

/** The first line that a user process prints: "power-on to first user process" is measured by it. */
export const FIRST_PROCESS_MARKER = 'ftvm: first user process';
/** Printed when the shell is about to start. */
export const READY_MARKER = 'ftvm: ready';
/** Printed, with the exit status, when the command of `ftvm.run` has ended. */
export const COMMAND_ENDED_MARKER = 'ftvm: command ended with status';
/** What the shell shows when it waits for a line. busybox then asks the terminal where its cursor is (`ESC [ 6 n`). */
export const PROMPT = 'root@debian:~# ';

export function initScript(): string {
  return `#!/usr/bin/busybox sh
echo '${FIRST_PROCESS_MARKER}'
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root
mount() { /usr/bin/busybox mount "$@"; }
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
/usr/bin/busybox mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
unset -f mount
/usr/bin/busybox --install -s
read -r command_line < /proc/cmdline

option() { # option NAME: sets value to what NAME= has on the kernel's command line
  value=
  case " $command_line" in
    *" $1=\\""*) value=\${command_line#*"$1=\\""}; value=\${value%%\\"*} ;;
    *" \\"$1="*) value=\${command_line#*"\\"$1="}; value=\${value%%\\"*} ;;
    *" $1="*) value=" $command_line"; value=\${value#*" $1="}; value=\${value%% *} ;;
  esac
}

modprobe ${BUS_MODULE}
for device in /sys/bus/virtio/devices/*/modalias; do
  [ -e "$device" ] || continue
  read -r modalias < "$device"
  modprobe "$modalias"
done

ip link set lo up
name=
option ip
if [ -n "$value" ]; then
  IFS=: read -r address _ gateway netmask name interface _ <<END
$value
END
  interface=\${interface:-eth0}
  ifconfig "$interface" "$address" netmask "\${netmask:-255.255.255.0}" up
  [ -z "$gateway" ] || route add default gw "$gateway"
fi
hostname "\${name:-debian}"

export TERM=\${TERM:-linux} PS1='\\u@\\h:\\w\\$ '
cd /root
option ftvm.run
if [ -n "$value" ]; then
  sh -c "$value"
  echo "${COMMAND_ENDED_MARKER} $?"
else
  echo '${READY_MARKER}'
  setsid cttyhack sh -i
fi
umount -a -t ext4
poweroff -f
`;
}
