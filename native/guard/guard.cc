// lossc-guard PROGRAM ARGS…: runs a program that ends, with all its children, when the caller ends.
//
// Standard input, output and error are the program's. Descriptor 3 is a stream socket whose other end the caller alone holds: the system closes it
// when the caller ends, and the end of the stream is the sign to kill the whole process group, which this process leads. The outcome of the program
// is written to the same socket, as one line, since this process kills itself along with the group:
//
//   exit STATUS      it ended by itself
//   signal NUMBER    a signal ended it
//   error ERRNO      it was never started
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

namespace {

constexpr int kCaller = 3;

// Write end of the pipe that wakes poll() when a child has ended.
int wake = -1;

void onChild(int) {
  const int saved = errno;
  // A full pipe wakes poll() as well.
  [[maybe_unused]] const ssize_t written = write(wake, "", 1);
  errno = saved;
}

void report(const char* what, int number) {
  char line[32];
  const int length = snprintf(line, sizeof line, "%s %d\n", what, number);
  // A caller that has ended reads no answer.
  [[maybe_unused]] const ssize_t written = write(kCaller, line, static_cast<size_t>(length));
}

// Ends this process as well.
[[noreturn]] void killGroup() {
  kill(0, SIGKILL);
  abort();
}

[[noreturn]] void fail(int number) {
  report("error", number);
  killGroup();
}

[[noreturn]] void become(char** command, pid_t guard) {
#ifdef __linux__
  // The system kills the program when the guard alone is killed.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != guard) _exit(1);
#else
  (void)guard;
#endif
  execvp(command[0], command);
  report("error", errno);
  _exit(127);
}

bool closeOnExec(int descriptor) { return fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0; }

}  // namespace

int main(int count, char** arguments) {
  if (count < 2 || !closeOnExec(kCaller) || getpgrp() != getpid()) {
    fputs("lossc-guard is started by lossc, which leads it: see native/README.md\n", stderr);
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  int ends[2];
  if (pipe(ends) != 0) fail(errno);
  wake = ends[1];
  for (const int end : ends)
    if (!closeOnExec(end) || fcntl(end, F_SETFL, O_NONBLOCK) != 0) fail(errno);
  struct sigaction action = {};
  action.sa_handler = onChild;
  action.sa_flags = SA_NOCLDSTOP;
  sigaction(SIGCHLD, &action, nullptr);

  const pid_t guard = getpid();
  const pid_t program = fork();
  if (program < 0) fail(errno);
  if (program == 0) {
    signal(SIGPIPE, SIG_DFL);
    become(arguments + 1, guard);
  }
  for (;;) {
    pollfd watched[] = {{kCaller, POLLIN, 0}, {ends[0], POLLIN, 0}};
    if (poll(watched, 2, -1) < 0 && errno != EINTR) killGroup();
    int status = 0;
    if (waitpid(program, &status, WNOHANG) == program) {
      if (WIFEXITED(status)) report("exit", WEXITSTATUS(status));
      else report("signal", WTERMSIG(status));
      killGroup();
    }
    // The caller never writes, so that readable means the end of the stream.
    if (watched[0].revents != 0) killGroup();
    char drained[64];
    while (read(ends[0], drained, sizeof drained) > 0) {
    }
  }
}
