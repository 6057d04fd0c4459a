#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the command line on the real program: options and their errors, listings, consoles, monitor, signals, gdb.

usage: test-cli.py BUILD-DIR [unittest arguments]
"""
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import unittest

import guest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else os.path.join(SOURCE, 'build')
MENURA = os.path.join(BUILD, 'menura-system-riscv64')
TIMEOUT = 20


def run(*args, program=MENURA, stdin=b''):
    return subprocess.run([program, *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT)


def wait_for(condition):
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError('timeout')


class Talk:
    """Reads a descriptor until an expected text comes."""

    def __init__(self, fd):
        self.fd = fd
        self.seen = b''

    def send(self, text):
        os.write(self.fd, text)

    def expect(self, text):
        end = time.monotonic() + TIMEOUT
        while text not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise AssertionError('no %r in %r' % (text, self.seen))
            data = os.read(self.fd, 65536)
            if not data:
                raise AssertionError('end before %r in %r' % (text, self.seen))
            self.seen += data
        before, self.seen = self.seen.split(text, 1)
        return before


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='menura-cli-')
        self.children = []

    def tearDown(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.communicate()
        shutil.rmtree(self.dir)

    def path(self, name, data=None):
        path = os.path.join(self.dir, name)
        if data is not None:
            with open(path, 'wb') as f:
                f.write(data)
        return path

    def start(self, *args, **keys):
        keys.setdefault('stdin', subprocess.DEVNULL)
        keys.setdefault('stdout', subprocess.DEVNULL)
        child = subprocess.Popen([MENURA, *args], **keys)
        self.children.append(child)
        return child

    def connect(self, path):
        def attempt():
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(path)
                return s
            except OSError:
                s.close()
                return None
        s = wait_for(attempt)
        self.addCleanup(s.close)
        return Talk(s.fileno())


class Options(Case):
    def check_error(self, args, text, program=MENURA):
        r = run(*args, program=program)
        self.assertEqual(r.returncode, 1, (args, r))
        self.assertIn(text, r.stderr.decode(), args)
        self.assertEqual(r.stderr.count(b'\n'), 1, r.stderr)
        self.assertTrue(r.stderr.startswith(os.path.basename(program).encode() + b': '), r.stderr)
        self.assertEqual(r.stdout, b'')

    def test_help_and_man_page(self):
        r = run('--help')
        self.assertEqual(r.returncode, 0)
        options = re.findall(r'^  (-\S+?)(?:, (-\S+))?(?: .*)?$', r.stdout.decode(), re.M)
        names = {name for pair in options for name in pair if name}
        self.assertIn('-kernel', names)
        with open(os.path.join(SOURCE, 'docs/menura.1')) as f:
            man = f.read()
        section = man[man.index('.SH OPTIONS'):man.index('.SH KEYS')]
        in_man = set()
        for line in re.findall(r'^\.TP\n(.*)$', section, re.M):
            in_man.update(n.replace('\\-', '-') for n in re.findall(r'\\fB(.*?)\\fR', line))
        self.assertEqual(names, in_man)

    def test_listings(self):
        for args, part in [
                (['-version'], 'Menura emulator version'), (['-M', 'help'], 'virt'), (['-M', 'help'], 'spike'),
                (['-cpu', 'help'], 'rv64'), (['-device', 'help'], 'virtio-blk-device'),
                (['-device', 'virtio-blk-device,help'], 'drive='), (['-accel', 'help'], 'interp'), (['-d', 'help'], 'guest_errors'),
                (['-chardev', 'help'], 'socket'), (['-display', 'help'], 'none')]:
            r = run(*args)
            self.assertEqual((r.returncode, r.stderr), (0, b''), args)
            self.assertIn(part, r.stdout.decode())

    def test_errors(self):
        image = self.path('disk.img', b'\0' * 4096)
        bios = self.path('bios', guest.leave(0))
        for args, text in [
                (['-devcie', 'x'], "-devcie: unknown option; did you mean '-device'?"),
                (['-netdev', 'user'], '-netdev: netdev user: id= is missing'),
                (['-kernel'], '-kernel: requires an argument'),
                (['-M', 'vrit'], 'virt'),
                (['-M', 'virt,nosuch=1'], 'nosuch'),
                (['-M', 'virt,aia=aplic-imisc'], "did you mean 'aplic-imsic'?"),
                (['-M', 'virt,aia=aplic-imsic,aia-guests=1'], 'hypervisor extension'),
                (['-cpu', 'rv65'], 'rv64'),
                (['-cpu', 'rv64,zbx=on'], 'zbx'),
                (['-m', '1Q'], '-m'),
                (['-smp', '0'], '-smp'),
                (['-smp', '400'], '-smp'),
                (['-accel', 'kvm'], '-accel kvm'),
                (['-d', 'gest_errors'], 'guest_errors'),
                (['-dfilter', 'zz'], '-dfilter'),
                (['-D', '/nonexistent/log', '-d', 'int'], '/nonexistent/log'),
                (['-serial', 'stdoi'], "did you mean 'stdio'?"),
                (['-serial', 'chardev:nobody'], 'nobody'),
                (['-serial', 'stdio', '-monitor', 'stdio'], 'stdio'),
                (['-chardev', 'null'], 'id= is missing'),
                (['-mon', 'nobody'], 'nobody'),
                (['-drive', 'file=/nonexistent/disk'], '/nonexistent/disk'),
                (['-drive', 'format=raw'], 'file= is missing'),
                (['-drive', 'file=%s,iff=none' % image], "did you mean 'if'?"),
                (['-drive', 'file=%s,if=ide' % image], 'if=ide'),
                (['-drive', 'file=%s,format=qcow2' % image], 'qcow2'),
                (['-drive', 'file=%s,id=a,if=none' % image, '-drive', 'file=%s,id=a,if=none,readonly=on' % image], 'twice'),
                (['-drive', 'file=%s,if=pflash,index=7' % image], 'flash banks'),
                (['-drive', 'file=%s,aio=thread' % image], "did you mean 'threads'?"),
                (['-device', 'virtio-blk-devcie'], "did you mean 'virtio-blk-device'?"),
                (['-device', 'virtio-blk-device'], 'virtio-blk-device'),
                (['-device', 'virtio-blk-device,drive=nobody'], 'nobody'),
                (['-device', 'virtio-rng-device,nosuch=1'], 'nosuch'),
                (['-device', 'virtio-rng-device,bus=nowhere'], 'nowhere'),
                (['-fsdev', 'local,id=f,path=/nonexistent'], '-fsdev: f: path=/nonexistent: '),
                (['-fsdev', 'local,id=f,path=/,security_model=pasthrough'], "did you mean 'passthrough'?"),
                (['-device', 'virtio-9p-device,fsdev=nobody,mount_tag=t'], "no -fsdev has the id 'nobody'"),
                (['-fsdev', 'local,id=f,path=/,security_model=none', '-device', 'virtio-9p-pci,fsdev=f'], 'mount_tag: '),
                (['-virtfs', 'local,path=/,security_model=none'], 'mount_tag= is missing'),
                (['-kernel', '/nonexistent/kernel'], '/nonexistent/kernel'),
                (['-bios', '/nonexistent/bios'], '/nonexistent/bios'),
                (['-kernel', bios, '-initrd', '/nonexistent/initrd'], '/nonexistent/initrd'),
                (['-kernel', bios, '-dtb', '/nonexistent/dtb'], '/nonexistent/dtb'),
                (['-append', 'x'], '-append'),
                (['-gdb', 'tcp:nowhere'], '-gdb'),
                (['-pidfile', '/nonexistent/pid'], '/nonexistent/pid'),
                (['-echr', 'x'], '-echr')]:
            with self.subTest(args=args):
                if '-bios' not in args:
                    args = ['-bios', bios] + args
                self.check_error(args, text)

    def test_program_names(self):
        menura = os.path.join(BUILD, 'menura')
        r = run(program=menura)
        self.assertEqual(r.returncode, 1)
        self.assertIn(b'riscv64', r.stderr)
        self.assertEqual(run('--target', 'riscv64', '-M', 'help', program=menura).returncode, 0)
        self.check_error(['--target', 'riscv46'], "did you mean 'riscv64'?", program=menura)
        r = run('help', program=os.path.join(BUILD, 'menura-img'))
        self.assertEqual(r.returncode, 0)
        self.assertIn(b'convert', r.stdout)

    def test_exit_status(self):
        for code in [0, 1, 7, 255]:
            for accel in ['jit', 'interp']:
                bios = self.path('bios', guest.leave(code))
                r = run('-bios', bios, '-nographic', '-accel', accel)
                self.assertEqual(r.returncode, code)

    def test_perfmap(self):
        child = self.start('-bios', self.path('bios', guest.leave(0)), '-perfmap', '-display', 'none')
        path = '/tmp/perf-%d.map' % child.pid
        self.addCleanup(os.unlink, path)
        self.assertEqual(child.wait(TIMEOUT), 0)
        with open(path) as f:
            lines = [line.split(' ') for line in f.read().splitlines()]
        lines.sort(key=lambda line: int(line[0], 16))
        self.assertTrue({'guest:0x80000000', 'thunk:enter', 'thunk:leave'} <= {name for _, _, name in lines}, lines)
        for this, following in zip(lines, lines[1:]):
            self.assertLessEqual(int(this[0], 16) + int(this[1], 16), int(following[0], 16), lines)

    def test_daemonize(self):
        pidfile, monitor = self.path('pid'), self.path('monitor')
        r = run('-bios', self.path('bios', guest.spin()), '-daemonize', '-pidfile', pidfile, '-monitor',
                'unix:%s,server,nowait' % monitor)
        self.assertEqual((r.returncode, r.stderr), (0, b''))
        with open(pidfile) as f:
            pid = int(f.read())
        talk = self.connect(monitor)
        talk.expect(b'(menura) ')
        talk.send(b'quit\r')
        wait_for(lambda: not os.path.exists('/proc/%d' % pid))
        self.assertFalse(os.path.exists(pidfile))

    def test_blockdev(self):
        img = os.path.join(BUILD, 'menura-img')
        base, disk = self.path('base.raw', bytes(1 << 20)), self.path('disk.qcow2')
        subprocess.run([img, 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', disk], check=True)
        node = ['-blockdev', 'driver=file,filename=%s,node-name=f' % disk]
        device = ['-device', 'virtio-blk-device,drive=d']
        for args, found in (
                ([*node, '-blockdev', 'qcow2,file=f,node-name=d'], '(qcow2)'),
                (['-blockdev', '{"driver":"qcow2","node-name":"d","file":{"driver":"file","filename":"%s"},"read-only":true}' % disk],
                 '(qcow2, read-only)'),
                (['-blockdev', 'raw,node-name=b,file.filename=%s,read-only=on' % base, '-blockdev',
                  'qcow2,node-name=d,file.driver=file,file.filename=%s,backing=b' % disk, '-snapshot'], '(qcow2, snapshot)'),
                (['-drive', 'if=none,id=d,driver=raw,file.filename=' + base], '(raw)')):
            r = run('-S', *args, *device, '-display', 'none', '-monitor', 'stdio', stdin=b'info block\nquit\n')
            self.assertRegex(r.stdout.decode(), r'd: \S+ %s, 1 MiB' % re.escape(found), (args, r.stderr))
            self.assertEqual((r.returncode, r.stderr), (0, b''))
        self.check_error(['-blockdev', 'driver=raw,file.filename=x'], 'node-name= is missing')
        self.check_error(['-blockdev', 'node-name=x,file.filename=x'], 'driver= is missing')
        self.check_error(['-blockdev', 'qcow2,node-name=d,file=x'], 'file=x: there is no node of that name')
        self.check_error([*node, '-blockdev', 'qcow2,node-name=d,file=f', '-blockdev', 'qcow2,node-name=e,file=f'], 'already used')
        self.check_error([*node, *node], 'node-name=f is given twice')
        self.check_error(['-blockdev', 'qcow2,node-name=d,spam=1,file.filename=' + disk], "does not support the option 'spam'")
        self.check_error(['-blockdev', 'qcow2,node-name=d,detect-zeroes=on,file.filename=' + disk], 'detect-zeroes=on: not supported')
        self.check_error(['-drive', 'spam=1,file=' + disk], "spam")
        self.check_error(['-drive', 'file.spam=1,file=' + disk], "spam")

    def test_default_network(self):
        """A card unless something is said of networks, or nothing may come by default, or from outside."""
        bios = self.path('bios', guest.spin())
        for args, card in [
                ([], 'virtio-net-pci'), (['-net', 'nic,model=virtio-net-device', '-net', 'user'], 'virtio-net-device'),
                (['-nic', 'user,addr=7'], 'device   7, function 0:\\s+Ethernet'), (['-nic', 'none'], None), (['-net', 'none'], None),
                (['-netdev', 'user,id=n0'], None), (['-nodefaults'], None), (['-icount', 'shift=0'], None), (['-M', 'spike'], None)]:
            r = run('-S', '-bios', bios, *args, '-display', 'none', '-monitor', 'stdio', stdin=b'info network\ninfo pci\nquit\n')
            self.assertEqual((r.returncode, r.stderr), (0, b''), args)
            text = r.stdout.decode()
            (self.assertRegex if card else self.assertNotRegex)(text, card or 'virtio-net', args)
        self.assertIn('-nic: this machine has no place for a network card', run('-M', 'spike', '-nic', 'user').stderr.decode())

    def test_sandbox(self):
        def filters(pid):
            with open('/proc/%d/status' % pid) as f:
                return re.search(r'^Seccomp:\s*(\d)', f.read(), re.M)[1]

        bios, pidfile = self.path('bios', guest.spin()), self.path('pid')
        for args, mode in ((), '2'), (('-sandbox', 'on,spawn=deny'), '2'), (('-sandbox', 'off'), '0'):
            # Without a monitor: the process can open nothing, but still remove its pid file.
            child = self.start('-bios', bios, '-display', 'none', '-serial', 'none', '-pidfile', pidfile, *args, stderr=subprocess.PIPE)
            wait_for(lambda c=child, m=mode: filters(c.pid) == m and os.path.exists(pidfile))
            child.terminate()
            self.assertEqual(child.communicate(timeout=TIMEOUT)[1], b'menura: terminating on signal 15\n')
            self.assertFalse(os.path.exists(pidfile))
        self.check_error(['-sandbox', 'on,spawn=allow'], '-sandbox: spawn=allow: can only be deny')
        self.check_error(['-sandbox', 'maybe'], '-sandbox')
        self.check_error(['-sandbox', 'on,spwan=deny'], "did you mean 'spawn'")


class Consoles(Case):
    def test_pipes(self):
        r = run('-bios', self.path('bios', guest.echo()), stdin=b'helloQ')
        self.assertEqual((r.returncode, r.stdout), (0, b'>hello'))

    def test_ended_input(self):
        child = self.start('-bios', self.path('bios', guest.echo()), '-nographic', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        Talk(child.stdout.fileno()).expect(b'>')
        time.sleep(0.2)
        self.assertIsNone(child.poll())

    def test_file(self):
        out = self.path('out')
        r = run('-bios', self.path('bios', guest.leave(0)), '-serial', 'file:' + out)
        self.assertEqual(r.returncode, 0)
        self.assertTrue(os.path.exists(out))

    def test_backends(self):
        bios = self.path('bios', guest.echo())
        unix, fifo = self.path('unix'), self.path('fifo')
        os.mkfifo(fifo + '.in')
        os.mkfifo(fifo + '.out')
        child = self.start('-bios', bios, '-serial', 'unix:%s,server=on,wait=off' % unix)
        talk = self.connect(unix)
        talk.send(b'abc')
        talk.expect(b'abc')
        talk.send(b'Q')
        self.assertEqual(child.wait(TIMEOUT), 0)

        child = self.start('-bios', bios, '-chardev', 'pipe,id=p,path=' + fifo, '-serial', 'chardev:p')
        with open(fifo + '.in', 'wb', 0) as to, open(fifo + '.out', 'rb', 0) as back:
            talk = Talk(back.fileno())
            to.write(b'xyz')
            talk.expect(b'xyz')
            to.write(b'Q')
            self.assertEqual(child.wait(TIMEOUT), 0)

        child = self.start('-bios', bios, '-serial', 'pty', stderr=subprocess.PIPE)
        name = re.search(rb'/dev/\S+', child.stderr.readline()).group()
        fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
        talk = Talk(fd)
        talk.send(b'pty')
        talk.expect(b'pty')
        talk.send(b'Q')
        self.assertEqual(child.wait(TIMEOUT), 0)
        os.close(fd)

        listener = socket.socket()
        listener.bind(('127.0.0.1', 0))
        listener.listen(1)
        child = self.start('-bios', bios, '-serial', 'tcp:127.0.0.1:%d' % listener.getsockname()[1])
        peer, _ = listener.accept()
        talk = Talk(peer.fileno())
        talk.expect(b'>')
        talk.send(b'tcpQ')
        talk.expect(b'tcp')
        self.assertEqual(child.wait(TIMEOUT), 0)
        peer.close()
        listener.close()


# A shell in little: makes the terminal its own, runs the program as the foreground job, tells its process id on the
# terminal and ends with its exit status. (A process without such a parent cannot be suspended.)
SHELL = '''
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    print('pid', os.getpid(), flush=True)
    os.execv(sys.argv[1], sys.argv[1:])
status = os.waitpid(pid, 0)[1]
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 100 + os.WTERMSIG(status))
'''


class Terminal(Case):
    def open(self, *args):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        self.slave = slave
        self.before = termios.tcgetattr(slave)
        child = subprocess.Popen([sys.executable, '-c', SHELL, MENURA, *args], stdin=slave, stdout=slave, stderr=slave,
                                 start_new_session=True)
        self.children.append(child)
        talk = Talk(master)
        talk.expect(b'pid ')
        self.pid = int(talk.expect(b'\r\n'))
        self.addCleanup(self.kill)
        return child, talk

    def kill(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def is_stopped(self):
        with open('/proc/%d/stat' % self.pid) as f:
            return f.read().split(') ')[1][0] == 'T'

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def test_mux(self):
        child, talk = self.open('-bios', self.path('bios', guest.echo()))
        talk.expect(b'>')
        self.assertTrue(self.is_raw())
        talk.send(b'one')
        talk.expect(b'one')
        talk.send(b'\001h')
        talk.expect(b'C-a x')
        talk.send(b'\001c')
        talk.expect(b'(menura) ')
        talk.send(b'info status\r')
        talk.expect(b'VM status: running')
        talk.send(b'stop\r')
        talk.expect(b'(menura) ')
        talk.send(b'info status\r')
        talk.expect(b'VM status: paused')
        talk.send(b'cont\r\001c')
        talk.send(b'two\003')
        talk.expect(b'two\003')
        talk.send(b'\001x')
        talk.expect(b'terminated')
        self.assertEqual(child.wait(TIMEOUT), 0)
        self.assertEqual(termios.tcgetattr(self.slave), self.before)

    def test_signals(self):
        child, talk = self.open('-bios', self.path('bios', guest.echo()))
        talk.expect(b'>')
        os.kill(self.pid, signal.SIGTSTP)
        wait_for(lambda: not self.is_raw())
        wait_for(self.is_stopped)
        os.kill(self.pid, signal.SIGCONT)
        wait_for(self.is_raw)
        talk.send(b'back')
        talk.expect(b'back')
        os.kill(self.pid, signal.SIGTERM)
        talk.expect(b'terminating on signal 15')
        self.assertEqual(child.wait(TIMEOUT), 0)
        self.assertEqual(termios.tcgetattr(self.slave), self.before)

    def test_fatal_signal_restores_terminal(self):
        child, talk = self.open('-bios', self.path('bios', guest.echo()))
        talk.expect(b'>')
        os.kill(self.pid, signal.SIGSEGV)
        self.assertEqual(child.wait(TIMEOUT), 100 + signal.SIGSEGV)
        self.assertEqual(termios.tcgetattr(self.slave), self.before)


class Monitor(Case):
    def open(self, bios, *args):
        path = self.path('monitor')
        child = self.start('-bios', self.path('bios', bios), '-monitor', 'unix:%s,server,nowait' % path, '-serial', 'null', *args)
        talk = self.connect(path)
        talk.expect(b'(menura) ')
        return child, talk

    def command(self, talk, text):
        talk.send(text.encode() + b'\r')
        talk.expect(b'\r\n')
        return talk.expect(b'(menura) ').decode().replace('\r\033[K', '')

    def test_commands(self):
        for accel in ['jit', 'interp']:
            child, talk = self.open(guest.count(), '-smp', '2', '-accel', accel)
            while '0x0000000000001000' in self.command(talk, 'info cpus'): # a busy host starts their threads late
                time.sleep(0.01)
            for command, part in [
                    ('info status', 'running'), ('info cpus', 'CPU #1'), ('info registers', 'a1'), ('info registers -a', 'CPU#1'),
                    ('info mtree', '80000000'), ('info mtree -f', '80000000'), ('info jit', 'accelerator'), ('info tlb', ''),
                    ('info chardev', 'serial0'), ('info version', 'Menura'), ('info qtree', 'virtio'), ('info block', ''),
                    ('stop', ''), ('xp/2xw 0x80000000', '0x00000593 0x00158593'), ('x/1xh 0x80000000', '0x0593'), ('cpu 1', ''),
                    ('x/3i $pc', ':'), ('p $pc & ~0xfff', '0x80000000'), ('log help', 'guest_errors'), ('log int', ''),
                    ('log none', ''), ('cont', ''), ('stpo', "did you mean 'stop'?"), ('system_reset', ''),
                    ('system_powerdown', ''), ('help', 'system_reset')]:
                self.assertIn(part, self.command(talk, command), command)
            talk.send(b'quit\r')
            self.assertEqual(child.wait(TIMEOUT), 0)

    def test_profile(self):
        for accel in ['jit', 'interp']:
            child, talk = self.open(guest.csrs(), '-accel', accel + ',profile=on')
            wait_for(lambda: re.search(r'helper calls +[1-9]\d*\r?\n +rv_helper_csrr +[1-9]', self.command(talk, 'info jit')))
            talk.send(b'quit\r')
            self.assertEqual(child.wait(TIMEOUT), 0)
        child, talk = self.open(guest.csrs())
        self.assertNotIn('helper calls', self.command(talk, 'info jit'))

    def test_wild_guest(self):
        for args in [[], ['-accel', 'interp'], ['-smp', '4'], ['-icount', 'shift=0']]:
            child, talk = self.open(guest.spin(), *args)
            for _ in range(20):
                self.assertIn('80000000', self.command(talk, 'info registers').replace(' ', ''))
            talk.send(b'quit\r')
            self.assertEqual(child.wait(TIMEOUT), 0)

    def test_stopped_start(self):
        child, talk = self.open(guest.leave(0), '-S')
        self.assertIn('paused', self.command(talk, 'info status'))
        talk.send(b'cont\r')
        self.assertEqual(child.wait(TIMEOUT), 0)

    def test_reset(self):
        child, talk = self.open(guest.spin(), '-no-reboot')
        talk.send(b'system_reset\r')
        self.assertEqual(child.wait(TIMEOUT), 0)


@unittest.skipUnless(shutil.which('gdb-multiarch'), 'gdb-multiarch is not installed')
class Gdb(Case):
    def gdb(self, socket_path, *commands):
        args = ['gdb-multiarch', '-nx', '-batch', '-ex', 'set confirm off', '-ex', 'set architecture riscv:rv64', '-ex',
                'target remote ' + socket_path]
        for c in commands:
            args += ['-ex', c]
        r = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=3 * TIMEOUT)
        return r.stdout.decode()

    def check(self, *machine):
        path = self.path('gdb')
        child = self.start('-bios', self.path('bios', guest.count()), '-S', '-serial', 'null', '-gdb',
                           'unix:%s,server=on,wait=off' % path, *machine)
        wait_for(lambda: os.path.exists(path))
        out = self.gdb(path, 'break *0x80000008', 'continue', 'print/x $pc', 'print $a1', 'stepi', 'print/x $pc', 'x/2wx 0x80000000',
                       'set var $a1 = 1000', 'set {int}0x80001000 = 0x1234', 'x/wx 0x80001000', 'delete', 'stepi', 'stepi', 'print $a1',
                       'monitor info status', 'info threads', 'watch *(int*)0x80001000', 'delete', 'detach')
        self.assertIn('= 0x80000008', out)
        self.assertIn('= 0x8000000c', out)
        self.assertIn('$2 = 1\n', out)
        self.assertIn('0x00000593\t0x00158593', out)
        self.assertIn('0x00001234', out)
        self.assertIn('= 1001', out)
        self.assertIn('VM status: paused', out)
        self.assertIn('CPU#0', out)
        self.assertIsNone(child.poll())
        # After the detach the guest runs; a new connection stops it.
        out = self.gdb(path, 'print/x $pc', 'kill')
        self.assertIn('= 0x8000000', out)
        self.assertEqual(child.wait(TIMEOUT), 0)

    def test_jit(self):
        self.check()

    def test_interp(self):
        self.check('-accel', 'interp')

    def test_break_in(self):
        path = self.path('gdb')
        child = self.start('-bios', self.path('bios', guest.spin()), '-serial', 'null', '-smp', '2', '-gdb',
                           'unix:%s,server=on,wait=off' % path)
        talk = self.connect(path)
        talk.send(b'$vCont;c#a8')
        talk.expect(b'+')
        time.sleep(0.1)
        talk.send(b'\x03')
        talk.expect(b'$T02thread:')
        talk.send(b'+$qfThreadInfo#bb')
        talk.expect(b'$m1,2#')
        talk.send(b'+$k#6b')
        self.assertEqual(child.wait(TIMEOUT), 0)


if __name__ == '__main__':
    unittest.main()
