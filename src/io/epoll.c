/* io/epoll.c: placeholder */
#include "io/backend.h"
enum err epoll_new(struct io **out, const struct io_options *options)
{
	UNUSED(out); UNUSED(options);
	return ERR_UNSUPPORTED;
}
