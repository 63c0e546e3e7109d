//! Real servers and real clients of both eras, pinned, through one MCProxy.

mod asks;
mod browser;
mod clients;
mod fleet;
mod found_tools;
mod matrix;
mod other_clients;
mod pages;
mod prefix;
mod probes;
mod readers;
mod sandboxed;
mod tasks;
mod web_page;
