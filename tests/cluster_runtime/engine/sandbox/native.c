/* What native code tries once it runs inside a PostgreSQL: a function of the superuser's making.
   Declared by hand, for wheels of PostgreSQL bring no server headers.
   Each attempt returns 0 where it succeeded, else errno. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

typedef uintptr_t Datum;
typedef struct { Datum value; char isnull; } NullableDatum;
typedef struct {
    void *flinfo, *context, *resultinfo;
    unsigned int collation;
    char isnull;
    short nargs;
    NullableDatum args[2];
} Call;

static const struct {
    int len, version, funcmaxargs, indexmaxkeys, namedatalen, float8byval;
    char abi_extra[32];
    const char *name, *release;
} magic = {sizeof(magic), 1800, 100, 32, 64, 1, "PostgreSQL", 0, 0};
const void *Pg_magic_func(void) { return &magic; }

static const struct { int api_version; } info = {1};
const void *pg_finfo_attempt(void) { return &info; }

static int result(long value) { return value < 0 ? errno : 0; }

static int run(const char *program, const char *argument, const char *more) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        execl(program, program, argument, more, (char *) 0);
        _exit(errno);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int dial(int kind, const char *name) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    int fd = socket(AF_UNIX, kind, 0), code;
    if (fd < 0) return errno;
    memcpy(to.sun_path, name, length);
    if (name[0] == '@') to.sun_path[0] = 0;
    code = result(connect(fd, (struct sockaddr *) &to, offsetof(struct sockaddr_un, sun_path) + length));
    close(fd);
    return code;
}

static int inet(int kind, int port, int binds) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, kind, 0), code;
    if (fd < 0) return errno;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (binds) code = result(bind(fd, (struct sockaddr *) &to, sizeof to));
    else if (kind == SOCK_DGRAM) code = result(sendto(fd, "x", 1, 0, (struct sockaddr *) &to, sizeof to));
    else code = result(connect(fd, (struct sockaddr *) &to, sizeof to));
    close(fd);
    return code;
}

static int in_child(int (*what)(void)) {
    int status;
    pid_t child = fork();
    if (child == 0) _exit(what());
    if (child < 0 || waitpid(child, &status, 0) < 0) return errno;
    return WEXITSTATUS(status);
}

static int namespace(void) { return result(unshare(CLONE_NEWUSER | CLONE_NEWNS)); }

static int file(const char *path, int flags) {
    int fd = open(path, flags, 0600);
    if (fd < 0) return errno;
    close(fd);
    return 0;
}

static int attempt_of(const char *what, char *at) {
    char *second = strchr(at, ' ');
    if (second) *second++ = 0;
    if (!strcmp(what, "shell")) return run(at, "-c", "exit 0");
    if (!strcmp(what, "execute")) return run(at, second, 0);
    if (!strcmp(what, "read")) return file(at, O_RDONLY);
    if (!strcmp(what, "write")) return file(at, O_WRONLY);
    if (!strcmp(what, "create")) return file(at, O_WRONLY | O_CREAT);
    if (!strcmp(what, "truncate")) return result(truncate(at, 0));
    if (!strcmp(what, "remove")) return result(unlink(at));
    if (!strcmp(what, "chmod")) return result(chmod(at, 0666));
    if (!strcmp(what, "chown")) return result(chown(at, 65534, 65534));
    if (!strcmp(what, "symlink")) return result(symlink("/etc/shadow", at));
    if (!strcmp(what, "link")) return result(link(at, second));
    if (!strcmp(what, "fifo")) return result(mkfifo(at, 0600));
    if (!strcmp(what, "dial")) return dial(SOCK_STREAM, at);
    if (!strcmp(what, "dial datagram")) return dial(SOCK_DGRAM, at);
    if (!strcmp(what, "tcp")) return inet(SOCK_STREAM, atoi(at), 0);
    if (!strcmp(what, "listen")) return inet(SOCK_STREAM, atoi(at), 1);
    if (!strcmp(what, "udp")) return inet(SOCK_DGRAM, atoi(at), 0);
    if (!strcmp(what, "signal")) return result(kill(atoi(at), 0));
    if (!strcmp(what, "trace")) return result(ptrace(PTRACE_SEIZE, atoi(at), 0, 0));
    if (!strcmp(what, "namespace")) return in_child(namespace);
    if (!strcmp(what, "io_uring")) { char parameters[256] = {0}; return result(syscall(425, 8, parameters)); }
    return -1;
}

Datum attempt(Call *call) {
    char at[512];
    strncpy(at, (const char *) call->args[1].value, sizeof at - 1);
    at[sizeof at - 1] = 0;
    return (Datum) attempt_of((const char *) call->args[0].value, at);
}
