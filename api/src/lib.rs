//! The HTTP surface: parameters in, engine, answers out. It decides nothing about a sale.

pub mod acceptor;
pub mod checkout;
pub mod config;
pub mod endpoints;
pub mod health;
pub mod internal;
pub mod observe;
pub mod params;
pub mod problem;
pub mod purchase;
pub mod sales;
pub mod server;
