"""What is shown while an import runs, and when it has ended."""
import shutil
import sys
import time


def human_bytes(count):
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""


def human_time(seconds):
    if seconds < 10:
        return f"{seconds:.1f} s"
    seconds = int(seconds + 0.5)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{minutes}:{seconds % 60:02d}"


class Progress:
    """A bar on a terminal, a line now and then elsewhere, nothing if quiet."""

    def __init__(self, tally, quiet):
        self.tally, self.quiet = tally, quiet
        self.terminal = sys.stdout.isatty()
        self.started = self.shown_at = time.monotonic()
        self.width, self.running = 0, False

    def start(self):
        self.started, self.running = time.monotonic(), True

    def text(self, columns=140):
        tally = self.tally
        count, size = tally.done()
        elapsed = max(time.monotonic() - self.started, 0.001)
        whole, whole_bytes = max(tally.found, count), max(tally.found_bytes, size, 1)
        part = min(size / whole_bytes, 1.0) if tally.scanned else 0.0
        left = "scanning" if not tally.scanned else \
            human_time(elapsed / part - elapsed) + " left" if part > 0.01 else "-:-- left"
        if tally.scanned and count >= whole:
            part, left = 1.0, human_time(elapsed)
        text = (f"{100 * part:3.0f}%  {count}/{whole} images  "
                f"{human_bytes(size)} of {human_bytes(whole_bytes)}  "
                f"{human_bytes(size / elapsed)}/s  {count / elapsed:.0f}/s  {left}")
        width = max(min(columns - len(text) - 3, 24), 0)
        full = int(width * part)
        return f"[{'#' * full}{'.' * (width - full)}] {text}"[:columns]

    def show(self, final=False):
        now = time.monotonic()
        if self.quiet or (not final and now - self.shown_at < (0.1 if self.terminal else 5)):
            return
        self.shown_at = now
        if self.terminal:
            text = self.text(shutil.get_terminal_size().columns - 1)
            sys.stdout.write("\r" + text + " " * max(self.width - len(text), 0))
            self.width = len(text)
        else:
            sys.stdout.write(self.text() + "\n")
        sys.stdout.flush()

    def line(self, text):
        if not self.quiet:
            sys.stdout.write(("\r" + " " * self.width + "\r" if self.width else "") + text + "\n")

    def end(self):
        if not self.running:
            return
        self.running = False
        self.show(final=True)
        if self.terminal and not self.quiet:
            sys.stdout.write("\n")


def summary(tally, options, seconds):
    lines = [f"{len(tally.refused)} refused:"] if tally.refused else []
    lines += [f"  {path}: {why}" for path, why in tally.refused]
    lines += [f"{len(tally.problems)} left out:"] if tally.problems else []
    lines += [f"  {path}: {why}" for path, why in tally.problems.items()]
    if not options.quiet:
        lines.append(f"{tally.put} {'to import' if options.dry_run else 'imported'} "
                     f"({human_bytes(tally.put_bytes)}), {tally.skipped} already there, "
                     f"{len(tally.refused)} refused, in {seconds:.1f} s")
    return lines
