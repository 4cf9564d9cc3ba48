/* A process that is stopped, and how a CNI call is answered without Node. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "launcher.h"

/* proc_pid_stat(5), field 3, which stands behind a name that may hold anything. */
int is_stopped(int pid)
{
	char path[32], text[512];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
	close(file);
	text[length > 0 ? length : 0] = 0;
	const char *name_end = strrchr(text, ')');
	return name_end && !strncmp(name_end, ") T", 3);
}

void say_error(const char *input, int code, const char *format, ...)
{
	char version[16] = "1.1.0", message[1024];
	const char *key = input ? strstr(input, "\"cniVersion\"") : NULL;
	va_list words;
	if (key) sscanf(key, "\"cniVersion\"%*[ \t\r\n:]\"%15[0-9.]", version);
	va_start(words, format);
	vsnprintf(message, sizeof message, format, words);
	va_end(words);
	printf("{\n    \"cniVersion\": \"%s\",\n    \"code\": %d,\n    \"msg\": \"%s\"\n}\n", version, code, message);
	fflush(stdout);
}
