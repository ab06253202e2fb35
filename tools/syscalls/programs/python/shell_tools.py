"""What programs commonly start by a shell."""
import subprocess

subprocess.run(["sh", "-c", r"""
mkdir -p a/b; echo text > a/b/f; cp -rp a c; mv c d; ln a/b/f l; ln -s l s; touch -d 2001-01-01 l
chmod 600 l; chown "$(id -u)" l; stat l; ls -laR; find . -type f | sort | xargs cat | wc; du -a; df .
dd if=/dev/zero of=z bs=1k count=4 conv=fsync; truncate -s 1 z; head -c 1 z | od -x; sync z; shred -u z
tar -cf t.tar a && tar -tf t.tar; gzip -k t.tar; zcat t.tar.gz | sha256sum; split -b 100 t.tar; rm -r a x*
sed -i s/e/E/ l; grep -c E l; awk '{ print NR }' l; tr a-z A-Z < l | tee u; diff l u; sort -u l u; cut -c1 u
date; nproc; uname -a; id; groups; hostname; env | sort; printf '%s\n' *; expr 1 + 1; seq 3 | tac | paste -s
(sleep 0.1 & wait); timeout 0.1 sleep 1; nice -n 5 true; nohup true; setsid true; flock l true; mktemp; tty
mkfifo p; (echo through > p &) ; cat p; tail -n 1 l; ulimit -a; kill -0 $$; trap 'echo trap' USR1; kill -USR1 $$
perl -e 'fork; print "$$\n"; open(F, "-|", "date"); print <F>'; stdbuf -oL true; prlimit; chrt -p $$
ionice; taskset -p $$; lscpu; free; getconf -a; ps; dmesg; mount; umount /work; su; chroot / true; unshare true
"""], timeout=60)
