/*
 * proxy/terms.h - who may come in, and on what terms: the configuration as sessions see it.
 *
 *      terms_find(terms, "shop", "ana", &found)     which pool, checked how
 *
 * Between the settings, which are text, and the pools, which are numbers. Nothing here
 * says whether a database or user exists: who asks has to authenticate first.
 */
#ifndef PROXY_TERMS_H
#define PROXY_TERMS_H

#include "proxy/broker.h"
#include "proxy/config.h"
#include "proxy/userlist.h"
#endif
